"""Text encoders, for the pipelines that take no embeddings: every byte is a token."""

from typing import Any

from transformers import T5Config, T5EncoderModel

from tests.zoo.parts import EMBEDDING, seeded, tokenizer


def t5_and_tokenizer() -> dict[str, Any]:
    words = tokenizer()
    config = T5Config(
        vocab_size=len(words), d_model=EMBEDDING, d_ff=EMBEDDING, d_kv=8, num_heads=2, num_layers=1
    )
    return {"tokenizer": words, "text_encoder": seeded(3, lambda: T5EncoderModel(config))}
