"""Mochi: one list of dual blocks, the last of which leaves the text alone; time goes up."""

from typing import Any

from diffusers import AutoencoderKLMochi, MochiTransformer3DModel

from tests.zoo.parts import EMBEDDING, quiet, seeded
from tests.zoo.random_weights import lively
from tests.zoo.transformers.clips import CHANNELS, case
from tests.zoo.transformers.parts import WORDS, flow, prompts

FRAMES = 13  # three frames of the latent


def build(cls: Any) -> Any:
    model = {
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "num_layers": 5,
        "pooled_projection_dim": 16,
        "in_channels": CHANNELS,
        "text_embed_dim": EMBEDDING,
        "time_embed_dim": 8,
        "max_sequence_length": WORDS,
    }
    vae = {
        "encoder_block_out_channels": (32,) * 4,  # its norms have 32 groups
        "decoder_block_out_channels": (32,) * 4,
        "layers_per_block": (1,) * 5,
        "latent_channels": CHANNELS,
        "latents_mean": None,
        "latents_std": None,
    }
    return quiet(
        cls(
            transformer=lively(0, lambda: MochiTransformer3DModel(**model)),
            vae=seeded(1, lambda: AutoencoderKLMochi(**vae)),
            scheduler=flow(invert_sigmas=True),
            text_encoder=None,
            tokenizer=None,
        )
    )


def given() -> dict[str, Any]:
    masked = {name: mask.bool() for name, mask in prompts(mask="attention_mask").items() if "mask" in name}
    return prompts() | masked | {"num_frames": FRAMES}


CASES = [case("MochiPipeline", build, given)]
