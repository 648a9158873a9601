"""Latte: two lists of blocks that take turns, one on each frame and one on each place."""

from typing import Any

from diffusers import LatteTransformer3DModel

from tests.zoo.parts import EMBEDDING, PICTURE, ddim, quiet, vae
from tests.zoo.random_weights import lively
from tests.zoo.transformers.clips import case, run_on_video
from tests.zoo.transformers.parts import prompts

CHANNELS = 4  # of the latent
FRAMES = 3
SHAPE = {
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "in_channels": CHANNELS,
    "out_channels": 2 * CHANNELS,  # and its variance
    "num_layers": 5,
    "cross_attention_dim": 24,
    "attention_bias": True,
    "sample_size": PICTURE // 2,
    "patch_size": 2,
    "activation_fn": "gelu-approximate",
    "num_embeds_ada_norm": 1000,
    "norm_type": "ada_norm_single",
    "norm_elementwise_affine": False,
    "norm_eps": 1e-6,
    "caption_channels": EMBEDDING,
    "video_length": FRAMES,
}


def build(cls: Any) -> Any:
    model = lively(0, lambda: LatteTransformer3DModel(**SHAPE))
    return quiet(cls(transformer=model, vae=vae(), scheduler=ddim(), text_encoder=None, tokenizer=None))


def given() -> dict[str, Any]:
    size = {"height": PICTURE, "width": PICTURE, "video_length": FRAMES}
    return prompts() | size | {"negative_prompt": None}


def one_by_one() -> dict[str, Any]:
    return given() | {"enable_temporal_attentions": False}


CASES = [
    case("LattePipeline", build, given, run_on_video),
    case("LattePipeline (each frame for itself)", build, one_by_one, run_on_video),
]
