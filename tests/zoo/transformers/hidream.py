"""HiDream-I1: double and single blocks with experts; each block reads another layer of the text encoder."""

from typing import Any

import torch
from diffusers import HiDreamImageTransformer2DModel

from tests.zoo import parts
from tests.zoo.parts import EMBEDDING, LATENT, POOLED
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import WORDS, case, flow, noise, run

LAYERS = 3  # of the text encoder
SHAPE = {
    "patch_size": 2,
    "in_channels": 4,
    "out_channels": 4,
    "num_layers": 2,
    "num_single_layers": 5,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "caption_channels": [EMBEDDING, EMBEDDING],
    "text_emb_dim": POOLED,
    "num_routed_experts": 4,
    "num_activated_experts": 2,
    "axes_dims_rope": (4, 2, 2),
    "max_resolution": (LATENT, LATENT),
    "llama_layers": [0, 1, 2, 2, 1, 0, 2],
}


def build(cls: Any) -> Any:
    """Whatever size is asked for, it draws as many pixels as in its default size, which is made small."""
    names = [f"{part}{number}" for part in ("text_encoder", "tokenizer") for number in ("", "_2", "_3", "_4")]
    pipe = cls(
        scheduler=flow(shift=3.0),
        vae=parts.vae(shift_factor=0.1),
        transformer=lively(0, lambda: HiDreamImageTransformer2DModel(**SHAPE)),
        **dict.fromkeys(names),
    )
    pipe.default_sample_size = LATENT
    return parts.quiet(pipe)


def words() -> dict[str, torch.Tensor]:
    given = {}
    for name, seed in (("", 7), ("negative_", 8)):
        given[f"{name}prompt_embeds_t5"] = noise(1, WORDS, EMBEDDING, seed=seed)
        given[f"{name}prompt_embeds_llama3"] = noise(LAYERS, 1, WORDS, EMBEDDING, seed=seed + 2)
        given[f"{name}pooled_prompt_embeds"] = noise(1, POOLED, seed=seed + 4)
    return given


def sample(pipe: Any, guided: bool) -> Any:
    return run(pipe, guided, **words())


CASES = [case("HiDreamImagePipeline", "image", build, sample)]
