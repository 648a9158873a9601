"""SDXL from a text or a picture, and in a part of a picture."""

from typing import Any

from diffusers import (
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLInpaintPipeline,
    StableDiffusionXLInstructPix2PixPipeline,
    StableDiffusionXLPipeline,
)

from tests.zoo import parts
from tests.zoo.case import Case

STRENGTH = 0.9  # of six steps, five are run


def refiner() -> Any:
    """Its conditions are five numbers: the aesthetic score stands for the target size."""
    unet = parts.unet_xl(projection_class_embeddings_input_dim=5 * 4 + parts.POOLED)
    return parts.stable_diffusion_xl(
        StableDiffusionXLImg2ImgPipeline, unet=unet, requires_aesthetics_score=True
    )


def sample_img2img(pipe: Any, guided: bool, **changes: Any) -> Any:
    return parts.run_xl(pipe, guided, **{"image": parts.picture(), "strength": STRENGTH} | changes)


def inpaint(channels: int) -> Any:
    return parts.stable_diffusion_xl(
        StableDiffusionXLInpaintPipeline, unet=parts.unet_xl(in_channels=channels)
    )


def sample_inpaint(pipe: Any, guided: bool) -> Any:
    return parts.run_xl(pipe, guided, image=parts.picture(), mask_image=parts.mask())


def sample_instruct_pix2pix(pipe: Any, guided: bool) -> Any:
    """Guidance by the text and by the picture: three lots in a batch."""
    return parts.run_xl(pipe, guided, image=parts.picture(), image_guidance_scale=1.5)


CASES = [
    Case(
        "StableDiffusionXLPipeline",
        "image",
        lambda: parts.stable_diffusion_xl(StableDiffusionXLPipeline),
        parts.run_xl,
    ),
    Case(
        "StableDiffusionXLPipeline (denoising end 0.8)",
        "image",
        lambda: parts.stable_diffusion_xl(StableDiffusionXLPipeline),
        lambda pipe, guided: parts.run_xl(pipe, guided, denoising_end=0.8),
    ),
    Case(
        "StableDiffusionXLImg2ImgPipeline",
        "image",
        lambda: parts.stable_diffusion_xl(StableDiffusionXLImg2ImgPipeline),
        sample_img2img,
    ),
    Case(
        "StableDiffusionXLImg2ImgPipeline (refiner from 0.3)",
        "image",
        refiner,
        lambda pipe, guided: sample_img2img(pipe, guided, denoising_start=0.3, num_inference_steps=8),
    ),
    Case("StableDiffusionXLInpaintPipeline", "inpainting", lambda: inpaint(9), sample_inpaint),
    Case("StableDiffusionXLInpaintPipeline (4 channels)", "inpainting", lambda: inpaint(4), sample_inpaint),
    Case(
        "StableDiffusionXLInstructPix2PixPipeline",
        "image",
        lambda: parts.stable_diffusion_xl(
            StableDiffusionXLInstructPix2PixPipeline, unet=parts.unet_xl(in_channels=8)
        ),
        sample_instruct_pix2pix,
    ),
]
