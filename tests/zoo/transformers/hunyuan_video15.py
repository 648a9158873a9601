"""HunyuanVideo 1.5: one list of dual blocks; a guider decides which calls a step has."""

from typing import Any

import torch
from diffusers import (
    AutoencoderKLHunyuanVideo15,
    ClassifierFreeGuidance,
    HunyuanVideo15Transformer3DModel,
)

from tests.zoo.parts import EMBEDDING, pil_picture, quiet, seeded
from tests.zoo.random_weights import lively
from tests.zoo.transformers.clips import CHANNELS, FRAMES, SIDE, case
from tests.zoo.transformers.hunyuan_video import siglip
from tests.zoo.transformers.parts import STEPS, flow, generator, noise, prompts

PICTURE_TOKENS = 4  # of the encoder for pictures
GLYPHS = 3  # tokens of the second prompt
SHAPE = {
    "in_channels": 2 * CHANNELS + 1,  # beside the latent: a picture's and a mask
    "out_channels": CHANNELS,
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "num_layers": 5,
    "num_refiner_layers": 1,
    "text_embed_dim": EMBEDDING,
    "text_embed_2_dim": EMBEDDING,
    "image_embed_dim": EMBEDDING,
    "rope_axes_dim": (4, 4, 4),
    "target_size": SIDE,
}


def vae() -> AutoencoderKLHunyuanVideo15:
    """Videos (3, 4f + 1, 8h, 8w) to latents (4, f + 1, h, w)."""
    shape = {"block_out_channels": (16, 16, 16, 16), "layers_per_block": 1, "spatial_compression_ratio": 8}
    return seeded(1, lambda: AutoencoderKLHunyuanVideo15(**shape, latent_channels=CHANNELS))


def build(cls: Any, **parts: Any) -> Any:
    pipe = cls(
        **dict.fromkeys(("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2")),
        transformer=lively(0, lambda: HunyuanVideo15Transformer3DModel(**SHAPE | parts.pop("shape", {}))),
        vae=vae(),
        scheduler=flow(),
        guider=ClassifierFreeGuidance(),
        **parts,
    )
    pipe.vision_num_semantic_tokens = PICTURE_TOKENS
    return quiet(pipe)


def from_picture(cls: Any) -> Any:
    return build(cls, **siglip(), shape={"use_meanflow": True})


def given() -> dict[str, Any]:
    masks = {name: torch.ones(1, 5) for name in ("prompt_embeds_mask", "negative_prompt_embeds_mask")}
    second = {
        f"{negative}prompt_{name}": value
        for seed, negative in ((11, ""), (12, "negative_"))
        for name, value in (
            ("embeds_2", noise(1, GLYPHS, EMBEDDING, seed=seed)),
            ("embeds_mask_2", torch.ones(1, GLYPHS)),
        )
    }
    return prompts() | masks | second


def sample(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    pipe.guider.guidance_scale = 5.0 if guided else 1.0
    call = {"num_frames": FRAMES, "num_inference_steps": STEPS, "output_type": "latent"}
    return pipe(**call | {"generator": generator()} | changes).frames


def sized() -> dict[str, Any]:
    return given() | {"height": SIDE, "width": SIDE}


def with_picture() -> dict[str, Any]:
    return given() | {"image": pil_picture(SIDE)}


CASES = [
    case("HunyuanVideo15Pipeline", build, sized, sample),
    case("HunyuanVideo15ImageToVideoPipeline", from_picture, with_picture, sample),
]
