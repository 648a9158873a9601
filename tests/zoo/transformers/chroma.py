"""Chroma: Flux whose modulations come from one small net, for all blocks at once."""

from typing import Any

import torch
from diffusers import ChromaTransformer2DModel

from tests.zoo import parts
from tests.zoo.parts import EMBEDDING
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import case, flow, masked, on_picture, prompts, run

SHAPE = {
    "in_channels": 4 * 4,  # of a patch: 2x2 pixels of a latent with four channels
    "num_layers": 2,
    "num_single_layers": 5,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "joint_attention_dim": EMBEDDING,
    "axes_dims_rope": (2, 2, 4),
    "approximator_num_channels": 8,
    "approximator_hidden_dim": 16,
    "approximator_layers": 1,
}


def transformer() -> ChromaTransformer2DModel:
    """Inpainting asks its configuration for Flux's embedded guidance."""
    model = lively(0, lambda: ChromaTransformer2DModel(**SHAPE))
    model.register_to_config(guidance_embeds=False)
    return model


def build(cls: Any) -> Any:
    return parts.quiet(
        cls(
            scheduler=flow(),
            vae=parts.vae(shift_factor=0.1),
            text_encoder=None,
            tokenizer=None,
            transformer=transformer(),
        )
    )


def sample(pipe: Any, guided: bool, **changes: Any) -> Any:
    """Guidance is a second call, with the negative prompt."""
    return run(pipe, guided, **prompts(mask="attention_mask", ones=torch.float32) | changes)


CASES = [
    case("ChromaPipeline", "image", build, sample),
    case("ChromaImg2ImgPipeline", "image", build, sample, on_picture),
    case("ChromaInpaintPipeline", "inpainting", build, sample, masked),
]
