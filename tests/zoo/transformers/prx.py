"""PRX: words beside one stream of a picture's patches, of a latent or of the picture itself."""

from typing import Any

import torch
from diffusers import PRXTransformer2DModel

from tests.zoo import parts
from tests.zoo.parts import EMBEDDING
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import case, flow, prompts, run

SHAPE = {
    "patch_size": 2,
    "context_in_dim": EMBEDDING,
    "hidden_size": 16,
    "mlp_ratio": 2.0,
    "num_heads": 2,
    "depth": 6,
    "axes_dim": [4, 4],
}


def build(cls: Any, channels: int, **more: Any) -> Any:
    return parts.quiet(
        cls(
            transformer=lively(0, lambda: PRXTransformer2DModel(**SHAPE, in_channels=channels)),
            scheduler=flow(),
            text_encoder=None,
            tokenizer=None,
            **more,
        )
    )


def sample(pipe: Any, guided: bool, **changes: Any) -> Any:
    words = prompts(mask="attention_mask", ones=torch.bool)
    return run(pipe, guided, use_resolution_binning=False, **words | changes)


CASES = [
    case("PRXPipeline", "image", lambda cls: build(cls, 4, vae=parts.vae(shift_factor=0.1)), sample),
    case("PRXPixelPipeline", "image", lambda cls: build(cls, 3), sample, lambda: {"output_type": "pt"}),
]
