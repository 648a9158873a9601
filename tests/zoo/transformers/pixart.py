"""PixArt: blocks with cross-attention, one modulation for all of them."""

from typing import Any

import torch
from diffusers import DPMSolverMultistepScheduler, PixArtTransformer2DModel

from tests.zoo import parts
from tests.zoo.parts import EMBEDDING, LATENT
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import case, prompts, run

SHAPE = {
    "sample_size": LATENT,
    "num_layers": 6,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "in_channels": 4,
    "out_channels": 8,  # the noise and its variance, which is dropped
    "cross_attention_dim": 16,
    "caption_channels": EMBEDDING,
    "interpolation_scale": 1,
}
OF_SIZES = {
    "use_additional_conditions": True,
    "sample_size": 128,
    "num_attention_heads": 3,
    "cross_attention_dim": 24,
}
BETAS = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}


def transformer(**changes: Any) -> PixArtTransformer2DModel:
    return lively(0, lambda: PixArtTransformer2DModel(**SHAPE | changes))


def build(cls: Any, shape: dict[str, Any] | None = None, **more: Any) -> Any:
    return parts.quiet(
        cls(
            tokenizer=None,
            text_encoder=None,
            vae=parts.vae(),
            transformer=transformer(**shape or {}),
            scheduler=DPMSolverMultistepScheduler(**BETAS),
            **more,
        )
    )


def sample(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    words = prompts(mask="attention_mask") | {"negative_prompt": None}
    return run(pipe, guided, use_resolution_binning=False, **words | changes)


CASES = [
    case(
        "PixArtAlphaPipeline",
        "image",
        lambda cls: build(cls, {"use_additional_conditions": False}),
        sample,
    ),
    case(
        "PixArtAlphaPipeline (size told)",
        "image",
        lambda cls: build(cls, OF_SIZES),
        sample,
    ),
    case("PixArtSigmaPipeline", "image", build, sample),
    case("PixArtSigmaPAGPipeline", "image", lambda cls: build(cls, pag_applied_layers=["blocks.2"]), sample),
]
