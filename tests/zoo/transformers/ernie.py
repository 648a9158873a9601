"""ERNIE-Image: words and a picture's patches in one stream."""

from typing import Any

import torch
from diffusers import ErnieImageTransformer2DModel

from tests.zoo import parts
from tests.zoo.parts import EMBEDDING
from tests.zoo.random_weights import lively
from tests.zoo.transformers.flux2 import vae
from tests.zoo.transformers.parts import WORDS, case, flow, noise, run

SHAPE = {
    "hidden_size": 16,
    "num_attention_heads": 2,
    "num_layers": 6,
    "ffn_hidden_size": 16,
    "in_channels": 4 * 4,
    "out_channels": 4 * 4,
    "patch_size": 1,
    "text_in_dim": EMBEDDING,
    "rope_axes_dim": (4, 2, 2),
}


def build(cls: Any) -> Any:
    return parts.quiet(
        cls(
            transformer=lively(0, lambda: ErnieImageTransformer2DModel(**SHAPE)),
            vae=vae(),
            text_encoder=None,
            tokenizer=None,
            scheduler=flow(),
        )
    )


def words() -> dict[str, list[torch.Tensor]]:
    return {
        "prompt_embeds": [noise(WORDS, EMBEDDING, seed=7)],
        "negative_prompt_embeds": [noise(WORDS - 1, EMBEDDING, seed=8)],
    }


def sample(pipe: Any, guided: bool) -> Any:
    return run(pipe, guided, **words())


CASES = [case("ErnieImagePipeline", "image", build, sample)]
