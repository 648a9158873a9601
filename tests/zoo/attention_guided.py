"""Pipelines that read the U-Net's attention maps, or its gradient, to guide the sampling."""

from typing import Any

import torch
from diffusers import (
    DDIMInverseScheduler,
    StableDiffusionAttendAndExcitePipeline,
    StableDiffusionPix2PixZeroPipeline,
    StableDiffusionSAGPipeline,
)

from tests.zoo import parts
from tests.zoo.case import STEPS, Case


def sample_sag(pipe: Any, guided: bool, sag_scale: float = 0.75) -> Any:
    """Self-attention guidance: a second call per step, on a latent blurred where the first one looked."""
    return parts.run(pipe, guided, sag_scale=sag_scale)


def sample_attend_and_excite(pipe: Any, guided: bool) -> Any:
    """A call with gradients, to move the latent by the attention of two tokens, before every call."""
    return parts.run(
        pipe,
        guided,
        prompt=parts.PROMPT,
        token_indices=[2, 6],
        attn_res=(parts.LATENT, parts.LATENT),
        max_iter_to_alter=4,
        thresholds={},
    )


def pix2pix_zero() -> Any:
    return parts.stable_diffusion(
        StableDiffusionPix2PixZeroPipeline,
        inverse_scheduler=DDIMInverseScheduler.from_config(parts.ddim().config),
        caption_generator=None,
        caption_processor=None,
        **parts.prompted(),
    )


def directions() -> dict[str, torch.Tensor]:
    """What the picture shows and what it shall show instead: embeddings of several sentences each."""
    source = torch.randn(2, parts.TOKENS, parts.EMBEDDING, generator=parts.generator(8))
    target = torch.randn(2, parts.TOKENS, parts.EMBEDDING, generator=parts.generator(9))
    return {"source_embeds": source, "target_embeds": target}


def sample_pix2pix_zero(pipe: Any, guided: bool, **changes: Any) -> Any:
    """One loop for the attention maps, another that follows their gradient."""
    return parts.run(pipe, guided, prompt=parts.PROMPT, **directions(), **changes)


def sample_inverted(pipe: Any, guided: bool) -> Any:
    """A loop with the inverse scheduler before."""
    inverted = pipe.invert(
        parts.PROMPT,
        image=parts.picture(),
        num_inference_steps=STEPS,
        num_reg_steps=0,
        generator=parts.generator(),
    )
    return sample_pix2pix_zero(pipe, guided, latents=inverted.latents)


CASES = [
    Case(
        "StableDiffusionSAGPipeline",
        "image",
        lambda: parts.stable_diffusion(StableDiffusionSAGPipeline),
        sample_sag,
    ),
    Case(
        "StableDiffusionSAGPipeline (off)",
        "image",
        lambda: parts.stable_diffusion(StableDiffusionSAGPipeline),
        lambda pipe, guided: sample_sag(pipe, guided, sag_scale=0.0),
    ),
    Case(
        "StableDiffusionAttendAndExcitePipeline",
        "image",
        lambda: parts.stable_diffusion(StableDiffusionAttendAndExcitePipeline, **parts.prompted()),
        sample_attend_and_excite,
    ),
    Case("StableDiffusionPix2PixZeroPipeline", "image", pix2pix_zero, sample_pix2pix_zero, counted=False),
    Case(
        "StableDiffusionPix2PixZeroPipeline (inverted)", "image", pix2pix_zero, sample_inverted, counted=False
    ),
]
