"""Modular SDXL: the denoiser is called once for each of the guider's passes; a ControlNet before each."""

from typing import Any

from tests.zoo.modular.parts import case, sized
from tests.zoo.parts import LATENT, controlnet_xl, embeddings_xl, euler, picture, unet_xl, vae
from tests.zoo.transformers.parts import noise

NAME = "StableDiffusionXLModularPipeline"


def components() -> dict[str, Any]:
    return {"unet": unet_xl(), "vae": vae(), "scheduler": euler()}


def text() -> dict[str, Any]:
    return embeddings_xl() | sized(2 * LATENT, latents=noise(1, 4, LATENT, LATENT, seed=3))


def controlled() -> dict[str, Any]:
    return text() | {"control_image": picture()}


CASES = [
    case(NAME, components, text),
    case(
        f"{NAME} (ControlNet)",
        lambda: components() | {"controlnet": controlnet_xl()},
        controlled,
        family="controlnet",
    ),
    case(
        f"{NAME} (first half)",
        components,
        lambda: text() | {"denoising_end": 0.5, "num_inference_steps": 12},
        ends=False,
    ),
]
