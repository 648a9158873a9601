"""Kandinsky 5 for pictures."""

from typing import Any

import torch
from diffusers import Kandinsky5Transformer3DModel

from tests.zoo import parts
from tests.zoo.case import STEPS
from tests.zoo.parts import EMBEDDING, LATENT, POOLED
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import WORDS, case, deep_vae, flow, noise

PICTURE = 8 * LATENT  # whatever the VAE, eight times the latent
SHAPE = {
    "in_visual_dim": 4,
    "out_visual_dim": 4,
    "in_text_dim": EMBEDDING,
    "in_text_dim2": POOLED,
    "time_dim": 8,
    "model_dim": 16,
    "ff_dim": 16,
    "num_text_blocks": 1,
    "num_visual_blocks": 6,
    "axes_dims": (4, 2, 2),
}


def build(cls: Any, visual_cond: bool) -> Any:
    """Its sizes are a list of large ones; it is given a small one."""
    pipe = cls(
        transformer=lively(0, lambda: Kandinsky5Transformer3DModel(**SHAPE, visual_cond=visual_cond)),
        vae=deep_vae(shift_factor=0.1),
        text_encoder=None,
        tokenizer=None,
        text_encoder_2=None,
        tokenizer_2=None,
        scheduler=flow(shift=3.0),
    )
    pipe.resolutions = [(PICTURE, PICTURE)]
    return parts.quiet(pipe)


def words() -> dict[str, torch.Tensor]:
    """For a prompt and a negative prompt, which is a token shorter."""
    given: dict[str, torch.Tensor] = {}
    for name, count, seed in (("", WORDS, 7), ("negative_", WORDS - 1, 8)):
        given[f"{name}prompt_embeds_qwen"] = noise(1, count, EMBEDDING, seed=seed)
        given[f"{name}prompt_embeds_clip"] = noise(1, POOLED, seed=seed + 2)
        given[f"{name}prompt_cu_seqlens"] = torch.tensor([0, count], dtype=torch.int32)
    return given


def sample(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    call = {
        "height": PICTURE,
        "width": PICTURE,
        "num_inference_steps": STEPS,
        "guidance_scale": 5.0 if guided else 1.0,
        "generator": parts.generator(),
        "output_type": "latent",
    }
    return pipe(**call | words() | changes).image


CASES = [
    case("Kandinsky5T2IPipeline", "image", lambda cls: build(cls, visual_cond=False), sample),
    case(
        "Kandinsky5I2IPipeline",
        "image",
        lambda cls: build(cls, visual_cond=True),
        sample,
        lambda: {"image": parts.pil_picture(PICTURE)},
    ),
]
