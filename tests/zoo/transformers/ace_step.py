"""ACE-Step 1.5: one list of blocks, in every second of which a frame sees its neighbours alone."""

from typing import Any

import torch
from diffusers import AceStepTransformer1DModel, AutoencoderOobleck
from diffusers.pipelines.ace_step import (
    AceStepAudioTokenDetokenizer,
    AceStepAudioTokenizer,
    AceStepConditionEncoder,
)

from tests.zoo.parts import EMBEDDING, PROMPT, quiet, seeded
from tests.zoo.random_weights import lively
from tests.zoo.transformers import stable_audio
from tests.zoo.transformers.parts import flow, noise
from tests.zoo.transformers.stable_audio import audio
from tests.zoo.transformers.words import t5_and_tokenizer

CHANNELS = 4  # of the latent
RATE = 64  # samples a second, of which eight are one of the latent's
SECONDS = 2.0
ATTENTION = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "sliding_window": 4,
}


def build(cls: Any, **of_transformer: Any) -> Any:
    model = {
        "num_hidden_layers": 6,
        "in_channels": 3 * CHANNELS,  # beside the latent: a sound's, and a mask of its channels
        "audio_acoustic_hidden_dim": CHANNELS,
    }
    encoder = {
        "text_hidden_dim": EMBEDDING,
        "timbre_hidden_dim": CHANNELS,
        "num_lyric_encoder_hidden_layers": 1,
        "num_timbre_encoder_hidden_layers": 1,
    }
    codes = {
        "audio_acoustic_hidden_dim": CHANNELS,
        "pool_window_size": 2,
        "num_attention_pooler_hidden_layers": 1,
    }
    vae = {
        "encoder_hidden_size": 2 * CHANNELS,
        "downsampling_ratios": [2, 4],
        "channel_multiples": [1, 2],
        "decoder_channels": 4,
        "decoder_input_channels": CHANNELS,
        "sampling_rate": RATE,
    }
    return quiet(
        cls(
            vae=seeded(1, lambda: AutoencoderOobleck(**vae)),
            transformer=lively(0, lambda: AceStepTransformer1DModel(**ATTENTION | model | of_transformer)),
            condition_encoder=lively(2, lambda: AceStepConditionEncoder(**ATTENTION | encoder)),
            scheduler=flow(num_train_timesteps=1),  # the transformer is told the sigmas
            **t5_and_tokenizer(),
            audio_tokenizer=lively(3, lambda: AceStepAudioTokenizer(**ATTENTION | codes, fsq_dim=16)),
            audio_token_detokenizer=lively(4, lambda: AceStepAudioTokenDetokenizer(**ATTENTION | codes)),
        )
    )


def given(**more: Any) -> dict[str, Any]:
    return {"prompt": PROMPT, "lyrics": "a", "audio_duration": SECONDS} | more


def sound() -> Any:
    return 0.1 * noise(2, int(SECONDS * RATE), seed=5)


def half_covered() -> dict[str, Any]:
    """A second call a step, without the sound that is covered."""
    return given(task_type="cover", src_audio=sound(), audio_cover_strength=0.5)


def repainted() -> dict[str, Any]:
    times = {"repainting_start": SECONDS / 2, "repainting_end": SECONDS}
    return given(task_type="repaint", src_audio=sound(), **times)


def sample(pipe: Any, guided: bool, **changes: Any) -> Any:
    torch.manual_seed(0)  # it encodes a sound without the generator
    return stable_audio.sample(pipe, guided, **changes)


CASES = [
    audio("AceStepPipeline", build, given, sample),
    audio(
        "AceStepPipeline (guided in the middle)",
        build,
        lambda: given(cfg_interval_start=0.2, cfg_interval_end=0.6),
        sample,
    ),
    audio("AceStepPipeline (cover)", build, half_covered, sample),
    audio("AceStepPipeline (repaint)", build, repainted, sample),
]
