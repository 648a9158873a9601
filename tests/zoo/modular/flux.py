"""Modular Flux 1, Kontext, 2 and Klein: guidance is a number for the transformer, or a second pass."""

from typing import Any

from tests.zoo.modular.parts import case, sized
from tests.zoo.parts import EMBEDDING, POOLED
from tests.zoo.transformers import flux, flux2
from tests.zoo.transformers.parts import WORDS, flow, noise, positive, prompts


def first() -> dict[str, Any]:
    return {"transformer": flux.transformer(), "scheduler": flow()}


def second(guidance_embeds: bool = False) -> dict[str, Any]:
    return {"transformer": flux2.transformer(guidance_embeds), "scheduler": flow()}


def pooled() -> dict[str, Any]:
    return positive(prompts(pooled=POOLED)) | sized()


def edited() -> dict[str, Any]:
    """With a picture's latents beside the noisy ones."""
    return pooled() | {"image_latents": noise(1, 4, 8, 8, seed=4), "max_area": 64 * 64}


def image() -> dict[str, Any]:
    return pooled() | {"image_latents": noise(1, 4, 8, 8, seed=4), "strength": 0.8}


def told() -> dict[str, Any]:
    return {"prompt_embeds": noise(1, WORDS, EMBEDDING, seed=7)} | sized()


def reference() -> dict[str, Any]:
    return told() | {"image_latents": [noise(1, 16, 4, 4, seed=4)]}


CASES = [
    case("FluxModularPipeline", first, pooled, guidance=False),
    case("FluxModularPipeline (image to image)", first, image, guidance=False),
    case("FluxKontextModularPipeline", first, edited, guidance=False),
    case("Flux2ModularPipeline", lambda: second(True), told, guidance=False),
    case("Flux2ModularPipeline (reference)", lambda: second(True), reference, guidance=False),
    case("Flux2KleinModularPipeline", second, told, guidance=False),
    case("Flux2KleinBaseModularPipeline", second, lambda: prompts() | sized()),
]
