"""Ovis-Image: Flux's blocks."""

from typing import Any

from diffusers import OvisImageTransformer2DModel

from tests.zoo import parts
from tests.zoo.parts import EMBEDDING
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import case, flow, prompts, run

SHAPE = {
    "in_channels": 4 * 4,  # of a patch: 2x2 pixels of a latent with four channels
    "out_channels": 4 * 4,
    "num_layers": 2,
    "num_single_layers": 5,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "joint_attention_dim": EMBEDDING,
    "axes_dims_rope": (2, 2, 4),
}


def build(cls: Any) -> Any:
    return parts.quiet(
        cls(
            scheduler=flow(),
            vae=parts.vae(shift_factor=0.1),
            text_encoder=None,
            tokenizer=None,
            transformer=lively(0, lambda: OvisImageTransformer2DModel(**SHAPE)),
        )
    )


def sample(pipe: Any, guided: bool) -> Any:
    return run(pipe, guided, **prompts() | {"negative_prompt": None})


CASES = [case("OvisImagePipeline", "image", build, sample)]
