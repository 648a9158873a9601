"""Allegro: one list of blocks on all frames together."""

from typing import Any

from diffusers import AllegroTransformer3DModel, AutoencoderKLAllegro, EulerAncestralDiscreteScheduler

from tests.zoo.parts import EMBEDDING, quiet, seeded
from tests.zoo.random_weights import lively
from tests.zoo.transformers.clips import CHANNELS, SIDE, case
from tests.zoo.transformers.parts import prompts

LATENT = SIDE // 8


def build(cls: Any) -> Any:
    model = {
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "in_channels": CHANNELS,
        "out_channels": CHANNELS,
        "num_layers": 5,
        "cross_attention_dim": 24,
        "sample_width": LATENT,
        "sample_height": LATENT,
        "sample_frames": 3,
        "caption_channels": EMBEDDING,
    }
    vae = {
        "block_out_channels": (4,) * 4,
        "layers_per_block": 1,
        "latent_channels": CHANNELS,
        "norm_num_groups": 2,
    }
    return quiet(
        cls(
            transformer=lively(0, lambda: AllegroTransformer3DModel(**model)),
            vae=seeded(1, lambda: AutoencoderKLAllegro(**vae)),
            scheduler=EulerAncestralDiscreteScheduler(),
            text_encoder=None,
            tokenizer=None,
        )
    )


def given() -> dict[str, Any]:
    return prompts(mask="attention_mask") | {"negative_prompt": None}


CASES = [case("AllegroPipeline", build, given)]
