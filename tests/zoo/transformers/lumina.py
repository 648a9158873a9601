"""Lumina-Next and Lumina 2."""

from typing import Any

from diffusers import Lumina2Transformer2DModel, LuminaNextDiT2DModel

from tests.zoo import parts
from tests.zoo.parts import EMBEDDING, LATENT
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import case, flow, prompts, run

SHAPE = {
    "sample_size": LATENT,
    "patch_size": 2,
    "in_channels": 4,
    "hidden_size": 24,
    "num_layers": 6,
    "num_attention_heads": 3,
    "num_kv_heads": 1,
    "multiple_of": 16,
}
PICTURE = 8 * LATENT  # whatever the VAE, eight times the latent
OF_1 = {"ffn_dim_multiplier": 1.0, "cross_attention_dim": EMBEDDING, "learn_sigma": True}
OF_2 = {
    "num_refiner_layers": 1,
    "ffn_dim_multiplier": 1.0,
    "axes_dim_rope": (4, 2, 2),
    "axes_lens": (32, 32, 32),
    "cap_feat_dim": EMBEDDING,
}


def build(cls: Any, transformer: Any, **shape: Any) -> Any:
    return parts.quiet(
        cls(
            transformer=lively(0, lambda: transformer(**SHAPE | shape)),
            scheduler=flow(),
            vae=parts.vae(shift_factor=0.1),
            text_encoder=None,
            tokenizer=None,
        )
    )


def sample(pipe: Any, guided: bool, **changes: Any) -> Any:
    return run(pipe, guided, height=PICTURE, width=PICTURE, **prompts(mask="attention_mask") | changes)


CASES = [
    case("LuminaPipeline", "image", lambda cls: build(cls, LuminaNextDiT2DModel, **OF_1), sample),
    case("Lumina2Pipeline", "image", lambda cls: build(cls, Lumina2Transformer2DModel, **OF_2), sample),
    case(
        "Lumina2Pipeline (guidance for half of the steps)",
        "image",
        lambda cls: build(cls, Lumina2Transformer2DModel, **OF_2),
        sample,
        lambda: {"cfg_trunc_ratio": 0.5},
    ),
]
