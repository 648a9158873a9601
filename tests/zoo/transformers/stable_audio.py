"""Stable Audio 1 and 3: one list of blocks on the latents of a sound, behind tokens of their own."""

from functools import partial
from typing import Any

import torch
from diffusers import (
    AutoencoderOobleck,
    AutoencoderSAME,
    EDMDPMSolverMultistepScheduler,
    StableAudio3DiTModel,
    StableAudioDiTModel,
    StableAudioProjectionModel,
)
from diffusers.pipelines.stable_audio_3.modeling_stable_audio_3 import StableAudio3DurationEmbedder

from tests.zoo.case import STEPS
from tests.zoo.parts import EMBEDDING, generator, quiet, seeded
from tests.zoo.random_weights import lively
from tests.zoo.transformers.clips import case, scale
from tests.zoo.transformers.parts import WORDS, flow, noise, prompts

audio = partial(case, family="audio")

CHANNELS = 4  # of the latent of the first
LENGTH = 16  # of the latents
CHANNELS_3 = 8  # of the latent of the third
RATE = 64  # samples a second, of which eight are one of the latent's
SECONDS = 2.0


def stable_audio(cls: Any) -> Any:
    model = {
        "sample_size": LENGTH,
        "in_channels": CHANNELS,
        "out_channels": CHANNELS,
        "num_layers": 5,
        "attention_head_dim": 8,
        "num_attention_heads": 2,
        "num_key_value_attention_heads": 1,
        "cross_attention_dim": EMBEDDING,
        "cross_attention_input_dim": EMBEDDING,
        "time_proj_dim": 8,
        "global_states_input_dim": 2 * EMBEDDING,
    }
    vae = {
        "encoder_hidden_size": 2 * CHANNELS,
        "downsampling_ratios": [2, 4],
        "channel_multiples": [1, 2],
        "decoder_channels": 4,
        "decoder_input_channels": CHANNELS,
        "sampling_rate": RATE,
    }
    projection = {"text_encoder_dim": EMBEDDING, "conditioning_dim": EMBEDDING}
    scheduler = EDMDPMSolverMultistepScheduler(
        prediction_type="v_prediction", sigma_data=1.0, sigma_min=0.3, sigma_max=80.0
    )
    return quiet(
        cls(
            vae=seeded(1, lambda: AutoencoderOobleck(**vae)),
            transformer=lively(0, lambda: StableAudioDiTModel(**model)),
            projection_model=seeded(
                2, lambda: StableAudioProjectionModel(**projection, min_value=0, max_value=9)
            ),
            scheduler=scheduler,
            text_encoder=None,
            tokenizer=None,
        )
    )


def stable_audio_3(cls: Any, **of_scheduler: Any) -> Any:
    model = {
        "io_channels": CHANNELS_3,
        "embed_dim": 16,
        "depth": 5,
        "num_heads": 2,
        "cond_token_dim": EMBEDDING,
        "global_cond_dim": EMBEDDING,
        "local_add_cond_dim": CHANNELS_3 + 1,
        "timestep_features_dim": 8,
        "ff_mult": 2.0,
        "num_memory_tokens": 2,
    }
    vae = {
        "patch_size": 4,
        "encoder_channels": 4,
        "encoder_c_mults": (4,),
        "encoder_strides": (2,),
        "encoder_transformer_depths": (1,),
        "latent_dim": CHANNELS_3,
        "dim_heads": 8,
        "sampling_rate": RATE,
    }
    embedder = {"output_dim": EMBEDDING, "fourier_dim": 8}
    return quiet(
        cls(
            vae=seeded(1, lambda: AutoencoderSAME(**vae)),
            transformer=lively(0, lambda: StableAudio3DiTModel(**model)),
            duration_embedder=seeded(2, lambda: StableAudio3DurationEmbedder(**embedder)),
            scheduler=flow(**of_scheduler),
            text_encoder=None,
            tokenizer=None,
        )
    )


def few_steps(cls: Any) -> Any:
    """Noise is drawn anew at each step."""
    return stable_audio_3(cls, stochastic_sampling=True)


def text() -> dict[str, Any]:
    mask = {f"{negative}encoder_attention_mask": torch.ones(1, WORDS) for negative in ("", "negative_")}
    return prompts() | mask


def sound() -> torch.Tensor:
    return 0.1 * noise(1, 2, int(SECONDS * RATE), seed=5)


def text_and_sound() -> dict[str, Any]:
    given = {name: value for name, value in text().items() if "negative" not in name}
    return given | {"audio": sound()}


def second_half() -> dict[str, Any]:
    return text_and_sound() | {"mask_start_seconds": SECONDS / 2, "mask_end_seconds": SECONDS}


def sample_sound(pipe: Any, **changes: Any) -> torch.Tensor:
    """Latents of a sound."""
    call = {"num_inference_steps": STEPS, "generator": generator(), "output_type": "latent"}
    return pipe(**call | changes).audios


def sample(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    return sample_sound(pipe, **scale(guided) | changes)


def sample_3(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    return sample(pipe, guided, duration=SECONDS, **changes)


def sample_unguided_3(pipe: Any, _: bool, **changes: Any) -> torch.Tensor:
    return sample_sound(pipe, duration=SECONDS, **changes)


CASES = [
    audio("StableAudioPipeline", stable_audio, prompts, sample),
    audio(
        "StableAudioPipeline (from sound)",
        stable_audio,
        lambda: prompts() | {"initial_audio_waveforms": sound(), "initial_audio_sampling_rate": RATE},
        sample,
    ),
    audio("StableAudio3Pipeline", stable_audio_3, text, sample_3),
    audio("StableAudio3Pipeline (stochastic)", few_steps, text, sample_3),
    audio(
        "StableAudio3AudioToAudioPipeline",
        stable_audio_3,
        lambda: text_and_sound() | {"init_noise_level": 0.8},
        sample_unguided_3,
        guidance=False,
    ),
    audio("StableAudio3InpaintPipeline", stable_audio_3, second_half, sample_unguided_3, guidance=False),
]
