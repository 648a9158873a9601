"""GLM-Image: a picture from tokens that another model foretells; sources are read by keys and values kept."""

from typing import Any

import torch
from diffusers import GlmImageTransformer2DModel

from tests.zoo import parts
from tests.zoo.parts import EMBEDDING
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import case, flow, prompts, run

TOKENS = 8  # in the codebook
PATCHES = 16  # 4x4 of a latent of 8x8
SHAPE = {
    "patch_size": 2,
    "in_channels": 4,
    "out_channels": 4,
    "num_layers": 6,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "text_embed_dim": EMBEDDING,
    "time_embed_dim": 8,
    "condition_dim": 4,
    "prior_vq_quantizer_codebook_size": TOKENS,
}


def build(cls: Any) -> Any:
    return parts.quiet(
        cls(
            tokenizer=None,
            processor=None,
            text_encoder=None,
            vision_language_encoder=None,
            vae=parts.vae(latents_mean=[0.1, 0.2, 0.3, 0.4], latents_std=[1.0, 1.1, 1.2, 1.3]),
            transformer=lively(0, lambda: GlmImageTransformer2DModel(**SHAPE)),
            scheduler=flow(use_dynamic_shifting=True),
        )
    )


def tokens(seed: int) -> torch.Tensor:
    return torch.randint(TOKENS, (PATCHES,), generator=parts.generator(seed))


def sample(pipe: Any, guided: bool, **changes: Any) -> Any:
    return run(pipe, guided, prior_token_ids=tokens(5)[None], **prompts() | changes)


def source() -> dict[str, Any]:
    return {
        "image": [parts.pil_picture()],
        "prior_token_image_ids": [tokens(6)],
        "source_image_grid_thw": [torch.tensor([[1, 4, 4]])],
    }


CASES = [
    case("GlmImagePipeline", "image", build, sample),
    case("GlmImagePipeline (source)", "image", build, sample, source),
]
