"""Perturbed attention guidance: a further lot in the batch, whose attention in the mid block is perturbed."""

from typing import Any

from diffusers import (
    StableDiffusionControlNetPAGInpaintPipeline,
    StableDiffusionControlNetPAGPipeline,
    StableDiffusionPAGImg2ImgPipeline,
    StableDiffusionPAGInpaintPipeline,
    StableDiffusionPAGPipeline,
    StableDiffusionXLControlNetPAGImg2ImgPipeline,
    StableDiffusionXLControlNetPAGPipeline,
    StableDiffusionXLPAGImg2ImgPipeline,
    StableDiffusionXLPAGInpaintPipeline,
    StableDiffusionXLPAGPipeline,
)

from tests.zoo import parts
from tests.zoo.case import Case

STRENGTH = 0.9  # of six steps, five are run


def run(pipe: Any, guided: bool, **changes: Any) -> Any:
    """Both guidances, or neither."""
    return parts.run(pipe, guided, **{"pag_scale": 3.0 if guided else 0.0} | changes)


def run_xl(pipe: Any, guided: bool, **changes: Any) -> Any:
    return run(pipe, guided, **parts.embeddings_xl() | changes)


def picture() -> dict[str, Any]:
    return {"image": parts.picture(), "strength": STRENGTH}


def masked() -> dict[str, Any]:
    return {"image": parts.picture(), "mask_image": parts.mask()}


def size() -> dict[str, Any]:
    return {"height": parts.PICTURE, "width": parts.PICTURE}


CASES = [
    Case(
        "StableDiffusionPAGPipeline",
        "image",
        lambda: parts.stable_diffusion(StableDiffusionPAGPipeline),
        run,
    ),
    Case(
        "StableDiffusionPAGPipeline (alone)",  # without classifier-free guidance: two lots
        "image",
        lambda: parts.stable_diffusion(StableDiffusionPAGPipeline),
        lambda pipe, guided: run(pipe, guided, guidance_scale=1.0),
    ),
    Case(
        "StableDiffusionPAGPipeline (outer layers)",  # perturbs what the skip branch runs itself
        "image",
        lambda: parts.stable_diffusion(StableDiffusionPAGPipeline, pag_applied_layers=["mid", "up"]),
        lambda pipe, guided: run(pipe, guided, pag_adaptive_scale=0.002 if guided else 0.0),
    ),
    Case(
        "StableDiffusionPAGImg2ImgPipeline",
        "image",
        lambda: parts.stable_diffusion(StableDiffusionPAGImg2ImgPipeline),
        lambda pipe, guided: run(pipe, guided, **picture()),
    ),
    Case(
        "StableDiffusionPAGInpaintPipeline",
        "inpainting",
        lambda: parts.stable_diffusion(StableDiffusionPAGInpaintPipeline, unet=parts.unet(in_channels=9)),
        lambda pipe, guided: run(pipe, guided, **masked(), **size()),
    ),
    Case(
        "StableDiffusionXLPAGPipeline",
        "image",
        lambda: parts.stable_diffusion_xl(StableDiffusionXLPAGPipeline),
        run_xl,
    ),
    Case(
        "StableDiffusionXLPAGImg2ImgPipeline",
        "image",
        lambda: parts.stable_diffusion_xl(StableDiffusionXLPAGImg2ImgPipeline),
        lambda pipe, guided: run_xl(pipe, guided, **picture()),
    ),
    Case(
        "StableDiffusionXLPAGInpaintPipeline",
        "inpainting",
        lambda: parts.stable_diffusion_xl(
            StableDiffusionXLPAGInpaintPipeline, unet=parts.unet_xl(in_channels=9)
        ),
        lambda pipe, guided: run_xl(pipe, guided, **masked()),
    ),
    Case(
        "StableDiffusionControlNetPAGPipeline",
        "controlnet",
        lambda: parts.stable_diffusion(StableDiffusionControlNetPAGPipeline, controlnet=parts.controlnet()),
        lambda pipe, guided: run(pipe, guided, image=parts.picture()),
    ),
    Case(
        "StableDiffusionControlNetPAGInpaintPipeline",
        "controlnet",
        lambda: parts.stable_diffusion(
            StableDiffusionControlNetPAGInpaintPipeline, controlnet=parts.controlnet()
        ),
        lambda pipe, guided: run(pipe, guided, **masked(), **size(), control_image=parts.picture(seed=6)),
    ),
    Case(
        "StableDiffusionXLControlNetPAGPipeline",
        "controlnet",
        lambda: parts.stable_diffusion_xl(
            StableDiffusionXLControlNetPAGPipeline, controlnet=parts.controlnet_xl()
        ),
        lambda pipe, guided: run_xl(pipe, guided, image=parts.picture()),
    ),
    Case(
        "StableDiffusionXLControlNetPAGImg2ImgPipeline",
        "controlnet",
        lambda: parts.stable_diffusion_xl(
            StableDiffusionXLControlNetPAGImg2ImgPipeline, controlnet=parts.controlnet_xl()
        ),
        lambda pipe, guided: run_xl(pipe, guided, **picture(), control_image=parts.picture(seed=6)),
    ),
]
