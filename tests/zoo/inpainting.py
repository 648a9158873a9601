"""Stable Diffusion in a part of a picture; the U-Net sees the mask (9 channels) or only the latent (4)."""

from typing import Any

from diffusers import StableDiffusionInpaintPipeline

from tests.zoo import parts
from tests.zoo.case import Case

CHANNELS_WITH_MASK = 9
STRENGTH = 0.9  # of six steps, five are run


def inpaint(channels: int) -> Any:
    return parts.stable_diffusion(StableDiffusionInpaintPipeline, unet=parts.unet(in_channels=channels))


def sample(pipe: Any, guided: bool, **changes: Any) -> Any:
    size = {"height": parts.PICTURE, "width": parts.PICTURE}
    return parts.run(pipe, guided, image=parts.picture(), mask_image=parts.mask(), **size | changes)


CASES = [
    Case("StableDiffusionInpaintPipeline", "inpainting", lambda: inpaint(CHANNELS_WITH_MASK), sample),
    Case("StableDiffusionInpaintPipeline (4 channels)", "inpainting", lambda: inpaint(4), sample),
    Case(
        "StableDiffusionInpaintPipeline (strength 0.9)",
        "inpainting",
        lambda: inpaint(CHANNELS_WITH_MASK),
        lambda pipe, guided: sample(pipe, guided, strength=STRENGTH),
    ),
]
