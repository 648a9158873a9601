"""Modular Qwen-Image: a pass of the guider for the prompt and one for the negative prompt."""

from typing import Any

import torch
from diffusers import QwenImage21Transformer2DModel

from tests.zoo.modular.parts import case, sized
from tests.zoo.random_weights import lively
from tests.zoo.transformers import qwen
from tests.zoo.transformers.parts import WORDS, flow, noise, prompts


def components() -> dict[str, Any]:
    return {"transformer": qwen.transformer(), "scheduler": flow()}


def text() -> dict[str, Any]:
    return prompts(mask="embeds_mask") | sized()


def latents(seed: int = 4) -> torch.Tensor:
    return noise(1, qwen.LATENT, 1, 8, 8, seed=seed)


def image() -> dict[str, Any]:
    return text() | {"image_latents": latents(), "strength": 0.8}


def edited() -> dict[str, Any]:
    return text() | {"image_latents": latents()}


def controlled() -> dict[str, Any]:
    return text() | {"control_image_latents": latents(6)}


def components_21() -> dict[str, Any]:
    model = lively(0, lambda: QwenImage21Transformer2DModel(**qwen.SHAPE_21))
    return {"transformer": model, "scheduler": flow()}


def text_21() -> dict[str, Any]:
    pads = {
        f"{negative}image_pad_mask": torch.zeros(1, WORDS, dtype=torch.bool) for negative in ("", "negative_")
    }
    return prompts(mask="embeds_mask") | pads | sized(128)


CASES = [
    case("QwenImageModularPipeline", components, text),
    case("QwenImageModularPipeline (image to image)", components, image),
    case(
        "QwenImageModularPipeline (ControlNet)",
        lambda: components() | {"controlnet": qwen.controlnet()},
        controlled,
        family="controlnet",
    ),
    case("QwenImageEditModularPipeline", components, edited),
    case("QwenImageEditPlusModularPipeline", components, lambda: text() | {"image_latents": [latents()]}),
    case("QwenImage21ModularPipeline", components_21, text_21),
]
