"""LongCat audio: one list of blocks, and what went into them is added to what comes out; time goes up."""

from typing import Any

from diffusers import LongCatAudioDiTTransformer, LongCatAudioDiTVae
from transformers import UMT5Config, UMT5EncoderModel

from tests.zoo.parts import EMBEDDING, PROMPT, quiet, seeded, tokenizer
from tests.zoo.random_weights import lively
from tests.zoo.transformers.stable_audio import audio, sample

CHANNELS = 4  # of the latent
SECONDS = 2.0  # of eight frames of the latent


def build(cls: Any) -> Any:
    words = tokenizer()
    encoder = UMT5Config(
        vocab_size=len(words), d_model=EMBEDDING, d_ff=EMBEDDING, d_kv=8, num_heads=2, num_layers=1
    )
    model = {
        "dit_dim": 16,
        "dit_depth": 5,
        "dit_heads": 2,
        "dit_text_dim": EMBEDDING,
        "latent_dim": CHANNELS,
        "ff_mult": 2.0,
    }
    vae = {
        "channels": 4,
        "c_mults": [1, 2],
        "strides": [2, 4],
        "latent_dim": CHANNELS,
        "encoder_latent_dim": 2 * CHANNELS,
        "downsampling_ratio": 8,
        "sample_rate": 32,
    }
    return quiet(
        cls(
            vae=seeded(1, lambda: LongCatAudioDiTVae(**vae)),
            text_encoder=seeded(2, lambda: UMT5EncoderModel(encoder)),
            tokenizer=words,
            transformer=lively(0, lambda: LongCatAudioDiTTransformer(**model)),
        )
    )


def given() -> dict[str, Any]:
    return {"prompt": PROMPT, "negative_prompt": "a", "audio_duration_s": SECONDS}


CASES = [audio("LongCatAudioDiTPipeline", build, given, sample)]
