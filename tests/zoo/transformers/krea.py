"""Krea 2: a picture's patches and the words, of which several layers of an encoder tell, in one stream."""

from typing import Any

import torch
from diffusers import Krea2Transformer2DModel

from tests.zoo import parts
from tests.zoo.parts import EMBEDDING
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import WORDS, case, flow, noise, prompts, run
from tests.zoo.transformers.qwen import PATCHED, vae

LAYERS = 3  # of the text encoder that are read
SHAPE = {
    "in_channels": PATCHED,
    "num_layers": 6,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 16,
    "timestep_embed_dim": 8,
    "text_hidden_dim": EMBEDDING,
    "num_text_layers": LAYERS,
    "text_num_attention_heads": 2,
    "text_num_key_value_heads": 2,
    "text_intermediate_size": 16,
    "num_layerwise_text_blocks": 1,
    "num_refiner_text_blocks": 1,
    "axes_dims_rope": (4, 2, 2),
}


def build(cls: Any) -> Any:
    return parts.quiet(
        cls(
            scheduler=flow(),
            vae=vae(),
            text_encoder=None,
            tokenizer=None,
            transformer=lively(0, lambda: Krea2Transformer2DModel(**SHAPE)),
            text_encoder_select_layers=tuple(range(LAYERS)),
        )
    )


def sample(pipe: Any, guided: bool) -> Any:
    words = prompts(mask="embeds_mask", ones=torch.bool) | {
        "prompt_embeds": noise(1, WORDS, LAYERS, EMBEDDING, seed=7),
        "negative_prompt_embeds": noise(1, WORDS, LAYERS, EMBEDDING, seed=8),
    }
    return run(pipe, guided, off=0.0, **words)


CASES = [case("Krea2Pipeline", "image", build, sample)]
