"""Nucleus-Image: blocks in which each expert chooses its tokens, between dense ones."""

from typing import Any

import torch
from diffusers import NucleusMoEImageTransformer2DModel

from tests.zoo import parts
from tests.zoo.parts import EMBEDDING
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import case, flow, prompts, run
from tests.zoo.transformers.qwen import LATENT, PATCHED, vae

SHAPE = {
    "patch_size": 2,
    "in_channels": PATCHED,
    "out_channels": LATENT,
    "num_layers": 7,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "joint_attention_dim": EMBEDDING,
    "axes_dims_rope": (2, 2, 4),
    "mlp_ratio": 2.0,
    "num_experts": 4,
    "moe_intermediate_dim": 8,
    "capacity_factors": 2.0,
}


def transformer() -> NucleusMoEImageTransformer2DModel:
    """The experts' weights, which its constructor leaves as memory was, are drawn."""
    model = lively(0, lambda: NucleusMoEImageTransformer2DModel(**SHAPE))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "experts" in name:
                weight.normal_(std=0.3)
    return model


def build(cls: Any) -> Any:
    return parts.quiet(
        cls(
            transformer=transformer(),
            scheduler=flow(),
            vae=vae(),
            text_encoder=None,
            processor=None,
        )
    )


def sample(pipe: Any, guided: bool) -> Any:
    return run(pipe, guided, **prompts(mask="embeds_mask"))


CASES = [case("NucleusMoEImagePipeline", "image", build, sample)]
