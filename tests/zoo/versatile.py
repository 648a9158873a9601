"""Versatile Diffusion: an image U-Net whose attention blocks are exchanged for those of a text U-Net."""

from typing import Any

from diffusers import (
    VersatileDiffusionImageVariationPipeline,
    VersatileDiffusionTextToImagePipeline,
)
from diffusers.pipelines.deprecated.versatile_diffusion.modeling_text_unet import UNetFlatConditionModel

from tests.zoo import parts
from tests.zoo.case import STEPS, Case

CLIP = {"projection_dim": parts.EMBEDDING}


def text_unet() -> UNetFlatConditionModel:
    """Four branches; no pipeline of diffusers runs it, they take its attention blocks."""
    shape = parts.TWO_LEVELS | {
        "sample_size": None,
        "down_block_types": ("CrossAttnDownBlockFlat", "DownBlockFlat"),
        "up_block_types": ("UpBlockFlat", "CrossAttnUpBlockFlat"),
        "mid_block_type": "UNetMidBlockFlatCrossAttn",
    }
    return parts.seeded(5, lambda: UNetFlatConditionModel(**shape))


def text_parts() -> dict[str, Any]:
    encoder = parts.text_encoder_with_projection(**CLIP)
    return {"tokenizer": parts.tokenizer(), "text_encoder": encoder, "text_unet": text_unet()}


def image_parts() -> dict[str, Any]:
    return {
        "image_feature_extractor": parts.feature_extractor(),
        "image_encoder": parts.image_encoder_with_projection(),
    }


def make(cls: Any, **encoders: Any) -> Any:
    pipe = cls(image_unet=parts.unet(), vae=parts.vae(), scheduler=parts.ddim(), **encoders)
    if "text_unet" in encoders:
        pipe.remove_unused_weights()
    return parts.quiet(pipe)


def sample(pipe: Any, guided: bool, **inputs: Any) -> Any:
    return pipe(
        **inputs,
        num_inference_steps=STEPS,
        guidance_scale=7.5 if guided else 1.0,
        generator=parts.generator(),
        output_type="np",
    ).images


def sample_text(pipe: Any, guided: bool) -> Any:
    return sample(pipe, guided, prompt=parts.PROMPT)


def sample_variation(pipe: Any, guided: bool) -> Any:
    return sample(pipe, guided, image=parts.pil_picture())


# VersatileDiffusionDualGuidedPipeline is built but cannot sample: its U-Net's blocks hand their transformers
# an `encoder_attention_mask`, and DualTransformer2DModel.forward of diffusers 0.42.1 does not take it.
# VersatileDiffusionPipeline has no __call__ of its own; its methods build the pipelines here for one call.
CASES = [
    Case(
        "VersatileDiffusionTextToImagePipeline",
        "image",
        lambda: make(VersatileDiffusionTextToImagePipeline, **text_parts()),
        sample_text,
    ),
    Case(
        "VersatileDiffusionImageVariationPipeline",
        "image",
        lambda: make(VersatileDiffusionImageVariationPipeline, **image_parts()),
        sample_variation,
    ),
]
