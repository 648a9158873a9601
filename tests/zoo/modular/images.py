"""Modular SD 3, Z-Image, ERNIE-Image, Krea 2 and Ideogram 4: other calls of transformers that are classic."""

from typing import Any

import torch
from diffusers import ErnieImageTransformer2DModel, Ideogram4Transformer2DModel, Krea2Transformer2DModel

from tests.zoo.modular.parts import case, sized
from tests.zoo.parts import EMBEDDING, POOLED
from tests.zoo.random_weights import lively
from tests.zoo.transformers import ernie, ideogram, krea, sd3, z_image
from tests.zoo.transformers.parts import WORDS, flow, noise, prompts


def of_sd3() -> dict[str, Any]:
    return {"transformer": sd3.transformer(), "scheduler": flow(shift=3.0)}


def of_z_image() -> dict[str, Any]:
    return {"transformer": z_image.transformer(), "scheduler": flow()}


def of_ernie() -> dict[str, Any]:
    return {
        "transformer": lively(0, lambda: ErnieImageTransformer2DModel(**ernie.SHAPE)),
        "scheduler": flow(),
    }


def of_krea() -> dict[str, Any]:
    return {"transformer": lively(0, lambda: Krea2Transformer2DModel(**krea.SHAPE)), "scheduler": flow()}


def of_ideogram() -> dict[str, Any]:
    return {
        "transformer": lively(0, lambda: Ideogram4Transformer2DModel(**ideogram.SHAPE)),
        "unconditional_transformer": lively(4, lambda: Ideogram4Transformer2DModel(**ideogram.SHAPE)),
        "scheduler": flow(),
    }


def layers_of_words() -> dict[str, Any]:
    return prompts(mask="embeds_mask", ones=torch.bool) | {
        "prompt_embeds": noise(1, WORDS, krea.LAYERS, EMBEDDING, seed=7),
        "negative_prompt_embeds": noise(1, WORDS, krea.LAYERS, EMBEDDING, seed=8),
    }


def features() -> dict[str, Any]:
    width = ideogram.READ * ideogram.HIDDEN
    return {
        "text_features": noise(1, WORDS, width, seed=7),
        "text_lengths": [WORDS],
        "guidance_schedule": [7.0] * 6,
    }


CASES = [
    case("StableDiffusion3ModularPipeline", of_sd3, lambda: prompts(pooled=POOLED) | sized()),
    case("ZImageModularPipeline", of_z_image, lambda: z_image.words() | sized()),
    case("ErnieImageModularPipeline", of_ernie, lambda: ernie.words() | sized()),
    case("Krea2ModularPipeline", of_krea, lambda: layers_of_words() | sized()),
    case("Ideogram4ModularPipeline", of_ideogram, lambda: features() | sized(), guidance=False),
]
