"""Modular Wan 2.1 and 2.2: two passes a step; of two experts each has steps and a guider of its own."""

from typing import Any

from tests.zoo.modular.parts import case, sized
from tests.zoo.transformers import wan
from tests.zoo.transformers.clips import CHANNELS, FRAMES, SIDE
from tests.zoo.transformers.parts import flow, noise, prompts


def components() -> dict[str, Any]:
    return {"transformer": wan.denoiser(), "scheduler": flow()}


def experts(**shape: Any) -> dict[str, Any]:
    return {
        "transformer": wan.denoiser(**shape),
        "transformer_2": wan.denoiser(num_layers=6, **shape),
        "scheduler": flow(),
        "boundary_ratio": wan.BOUNDARY,
    }


def text() -> dict[str, Any]:
    latents = noise(1, CHANNELS, 3, SIDE // 8, SIDE // 8, seed=3)
    return prompts() | sized(SIDE, num_frames=FRAMES, latents=latents)


def picture() -> dict[str, Any]:
    """The first frame's latents, and which frames are given, beside the noisy ones."""
    return text() | {"image_condition_latents": noise(1, CHANNELS + 4, 3, SIDE // 8, SIDE // 8, seed=4)}


CASES = [
    case("WanModularPipeline", components, text, family="video"),
    case("Wan22ModularPipeline", experts, text, family="video"),
    case("Wan22Image2VideoModularPipeline", lambda: experts(in_channels=wan.MASKED), picture, family="video"),
]
