"""MiniMax H3, a video and its sound in one packed sequence, and Music 3, which goes window by window."""

from typing import Any

import torch
from diffusers import (
    MiniMaxH3Scheduler,
    MiniMaxH3Transformer3DModel,
    MiniMaxMusic3ConditionEncoder,
    MiniMaxMusic3Transformer1DModel,
)

from tests.zoo.case import STEPS
from tests.zoo.modular.parts import case, run, sized
from tests.zoo.parts import EMBEDDING, seeded
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import WORDS, flow, noise

SHAPE = {
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "hidden_size": 24,
    "num_layers": 5,
    "num_refiner_layers": 1,
    "ffn_dim": 32,
    "in_channels": 24,  # of the noise that a pipeline without autoencoders makes
    "audio_in_channels": 32,
    "text_dim": EMBEDDING,
    "freq_dim": 16,
    "time_embed_hidden_dim": 16,
    "time_embed_dim": 16,
    "rope_freq_dim": 2,
}
HIDDEN, LAYERS = 4, 2  # channels of a frame's hidden state, and how many of them a frame has
MUSIC = {
    "in_channels": 4,
    "condition_dim": 8,
    "num_layers": 5,
    "num_attention_heads": 2,
    "attention_head_dim": 8,
    "ff_inner_dim": 16,
    "rotary_dim": 4,
    "fourier_embedding_dim": 8,
}


def of_h3() -> dict[str, Any]:
    return {
        "transformer": lively(0, lambda: MiniMaxH3Transformer3DModel(**SHAPE)),
        "scheduler": MiniMaxH3Scheduler(),
        "audio_scheduler": MiniMaxH3Scheduler(shift=3.0),
    }


def text() -> dict[str, Any]:
    words = {
        "prompt_embeds": noise(1, WORDS, EMBEDDING, seed=7),
        "text_token_tags": torch.ones(WORDS, dtype=torch.long),
    }
    return words | sized(32, num_frames=124, num_inference_steps=STEPS + 1)


def sample_h3(pipe: Any, guided: bool, **inputs: Any) -> torch.Tensor:
    return run(pipe, guided, ["latents", "audio_latents"], **inputs)


def of_music3() -> dict[str, Any]:
    encoder = {"condition_hidden_dim": HIDDEN, "num_condition_layers": LAYERS, "out_dim": 8}
    return {
        "transformer": lively(0, lambda: MiniMaxMusic3Transformer1DModel(**MUSIC)),
        "condition_encoder": seeded(2, lambda: MiniMaxMusic3ConditionEncoder(**encoder)),
        "scheduler": flow(),
    }


def frames(count: int = 12) -> dict[str, Any]:
    return {"frame_hiddens": noise(1, count, LAYERS * HIDDEN, seed=7)}


def sample_music3(pipe: Any, guided: bool, **inputs: Any) -> torch.Tensor:
    return run(pipe, guided, "latent_chunks", **inputs)


CASES = [
    case("MiniMaxH3ModularPipeline", of_h3, text, family="video", sample=sample_h3, guidance=False),
    case("MiniMaxMusic3ModularPipeline", of_music3, frames, family="audio", sample=sample_music3),
    case(
        "MiniMaxMusic3ModularPipeline (two windows)",
        of_music3,
        lambda: frames(201),
        family="audio",
        sample=sample_music3,
    ),
]
