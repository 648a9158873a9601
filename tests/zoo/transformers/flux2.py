"""Flux 2 and Klein: modulation that all blocks share, reference pictures as further tokens."""

from typing import Any

import torch
from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel

from tests.zoo import parts
from tests.zoo.parts import EMBEDDING
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import STRENGTH, case, flow, prompts, run

SHAPE = {
    "in_channels": 4 * 4,  # of a patch: 2x2 pixels of a latent with four channels
    "num_layers": 2,
    "num_single_layers": 5,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "joint_attention_dim": EMBEDDING,
    "timestep_guidance_channels": 16,
    "axes_dims_rope": (2, 2, 2, 2),
}


def transformer(guidance_embeds: bool) -> Flux2Transformer2DModel:
    return lively(0, lambda: Flux2Transformer2DModel(**SHAPE, guidance_embeds=guidance_embeds))


def vae() -> AutoencoderKLFlux2:
    """Pictures (3, 2h, 2w) to latents (4, h, w)."""
    shape = {
        "block_out_channels": (4, 4),
        "norm_num_groups": 2,
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "latent_channels": 4,
        "sample_size": parts.PICTURE,
    }
    return parts.seeded(1, lambda: AutoencoderKLFlux2(**shape))


def build(cls: Any, guidance_embeds: bool = False, **more: Any) -> Any:
    return parts.quiet(
        cls(
            scheduler=flow(),
            vae=vae(),
            text_encoder=None,
            tokenizer=None,
            transformer=transformer(guidance_embeds),
            **more,
        )
    )


def build_told(cls: Any) -> Any:
    """Its guidance is a number that the transformer is told."""
    return build(cls, guidance_embeds=True)


def sample_told(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    return run(pipe, guided, prompt_embeds=prompts()["prompt_embeds"], **changes)


def sample(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    """Guidance is a second call, with the negative prompt."""
    return run(pipe, guided, **prompts(), **changes)


def sample_distilled(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    """It has no guidance; `guided` does nothing."""
    return run(pipe, guided, scale=None, prompt_embeds=prompts()["prompt_embeds"], **changes)


REFERENCE = 64  # pixels; smaller pictures are refused


def reference() -> dict[str, Any]:
    return {"image": parts.pil_picture(REFERENCE)}


def references() -> dict[str, Any]:
    return {"image": [parts.pil_picture(REFERENCE), parts.pil_picture(REFERENCE, seed=6)]}


def masked() -> dict[str, Any]:
    return {"image": parts.pil_picture(), "mask_image": parts.mask(), "strength": STRENGTH}


def masked_with_reference() -> dict[str, Any]:
    return masked() | {"image_reference": parts.pil_picture(seed=6)}


CASES = [
    case("Flux2Pipeline", "image", build_told, sample_told),
    case("Flux2Pipeline (reference)", "image", build_told, sample_told, reference),
    case("Flux2KleinPipeline", "image", build, sample),
    case("Flux2KleinPipeline (two references)", "image", build, sample, references),
    case("Flux2KleinInpaintPipeline", "inpainting", build, sample, masked),
    case("Flux2KleinInpaintPipeline (reference)", "inpainting", build, sample, masked_with_reference),
    case("Flux2KleinKVPipeline", "image", build, sample_distilled, guidance=False),
    case("Flux2KleinKVPipeline (reference)", "image", build, sample_distilled, reference, guidance=False),
]
