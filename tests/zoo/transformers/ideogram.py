"""Ideogram 4: two transformers, one with and one without the prompt, are the guidance."""

from typing import Any

from diffusers import Ideogram4Transformer2DModel
from transformers import Qwen3VLConfig, Qwen3VLModel

from tests.zoo import parts
from tests.zoo.random_weights import lively
from tests.zoo.transformers import flux2
from tests.zoo.transformers.parts import case, flow, run

HIDDEN = 8  # channels of the text encoder
READ = 13  # of its layers
SHAPE = {
    "in_channels": 4 * 4,
    "num_layers": 6,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "adaln_dim": 8,
    "llm_features_dim": READ * HIDDEN,
    "mrope_section": (2, 1, 1),
}
TEMPLATE = "{{ messages[0]['content'][0]['text'] }}"


def text_encoder(vocabulary: int) -> Qwen3VLModel:
    """With as many layers as the pipeline reads from."""
    layers = {"num_hidden_layers": 36, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4}
    text = {
        "hidden_size": HIDDEN,
        "intermediate_size": HIDDEN,
        "vocab_size": vocabulary,
        "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 0], "rope_theta": 10000.0},
    }
    vision = {"depth": 1, "hidden_size": 8, "intermediate_size": 8, "num_heads": 2, "out_hidden_size": HIDDEN}
    config = Qwen3VLConfig(
        text_config=layers | text, vision_config=vision | {"deepstack_visual_indexes": [0]}
    )
    return parts.seeded(2, lambda: Qwen3VLModel(config))


def build(cls: Any) -> Any:
    words = parts.tokenizer()
    words.chat_template = TEMPLATE
    return parts.quiet(
        cls(
            scheduler=flow(),
            vae=flux2.vae(),
            text_encoder=text_encoder(len(words)),
            tokenizer=words,
            transformer=lively(0, lambda: Ideogram4Transformer2DModel(**SHAPE)),
            unconditional_transformer=lively(4, lambda: Ideogram4Transformer2DModel(**SHAPE)),
        )
    )


def sample(pipe: Any, guided: bool) -> Any:
    call = {"prompt": parts.PROMPT, "guidance_schedule": None, "max_sequence_length": parts.TOKENS}
    return run(pipe, guided, **call)


CASES = [case("Ideogram4Pipeline", "image", build, sample)]
