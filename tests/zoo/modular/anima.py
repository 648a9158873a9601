"""Anima: Cosmos' transformer, told of words by an adapter between two text encoders."""

from typing import Any

import torch
from diffusers import AnimaTextConditioner, CosmosTransformer3DModel

from tests.zoo.modular.parts import case, sized
from tests.zoo.parts import EMBEDDING, seeded
from tests.zoo.random_weights import lively
from tests.zoo.transformers.cosmos import LATER, SHAPE
from tests.zoo.transformers.parts import WORDS, flow, noise

CONDITIONER = {
    "source_dim": EMBEDDING,
    "target_dim": EMBEDDING,
    "model_dim": EMBEDDING,
    "num_layers": 1,
    "num_attention_heads": 2,
    "target_vocab_size": 32,
    "min_sequence_length": 8,
}


def components() -> dict[str, Any]:
    shape = SHAPE | LATER | {"concat_padding_mask": True}
    return {
        "transformer": lively(0, lambda: CosmosTransformer3DModel(**shape)),
        "text_conditioner": seeded(2, lambda: AnimaTextConditioner(**CONDITIONER)),
        "scheduler": flow(),
    }


def text() -> dict[str, Any]:
    given = {}
    for seed, negative in ((7, ""), (8, "negative_")):
        ones = torch.ones(1, WORDS, dtype=torch.long)
        given[f"{negative}qwen_prompt_embeds"] = noise(1, WORDS, EMBEDDING, seed=seed)
        given[f"{negative}qwen_attention_mask"] = given[f"{negative}t5_attention_mask"] = ones
        given[f"{negative}t5_input_ids"] = torch.arange(WORDS)[None] + seed
    return given | sized()


def image() -> dict[str, Any]:
    return text() | {"image_latents": noise(1, 4, 1, 8, 8, seed=4), "strength": 0.8}


CASES = [
    case("AnimaModularPipeline", components, text),
    case("AnimaModularPipeline (image to image)", components, image),
]
