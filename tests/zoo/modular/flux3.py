"""Flux 3: blocks for the words, the image and a reference apart, then blocks over all tokens."""

from typing import Any

from diffusers import Flux3Transformer2DModel

from tests.zoo.modular.parts import case, sized
from tests.zoo.parts import EMBEDDING
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import WORDS, flow, noise, positive, prompts

PATCHED = 4 * 4  # channels of a patch: 2x2 pixels of a latent with four channels
SHAPE = {
    "in_channels": PATCHED,
    "cond_in_channels": PATCHED,
    "num_layers": 1,
    "num_single_layers": 5,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "joint_attention_dim": EMBEDDING,
    "timestep_channels": 16,
    "axes_dims_rope": (2, 2, 2, 2),
}


def components(**changes: Any) -> dict[str, Any]:
    return {
        "transformer": lively(0, lambda: Flux3Transformer2DModel(**SHAPE | changes)),
        "scheduler": flow(),
    }


def text() -> dict[str, Any]:
    return prompts() | sized()


def reference() -> dict[str, Any]:
    return text() | {"image_cond_latents": [noise(1, PATCHED, 4, 4, seed=4)]}


def of_distilled() -> dict[str, Any]:
    """It is told where each step goes."""
    return positive(prompts(words=WORDS)) | sized()


CASES = [
    case("Flux3ModularPipeline", components, text),
    case("Flux3ModularPipeline (reference)", components, reference),
    case("Flux3DistilledModularPipeline", lambda: components(flow_map=True), of_distilled, guidance=False),
]
