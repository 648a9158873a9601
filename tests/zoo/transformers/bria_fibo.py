"""Bria FIBO: each block is given another layer of the text encoder; FIBO 2: some of them are."""

import json
from typing import Any

import torch
from diffusers import AutoencoderKLWan, BriaFibo2Transformer2DModel, BriaFiboTransformer2DModel

from tests.zoo import parts
from tests.zoo.parts import EMBEDDING, LATENT, TOKENS
from tests.zoo.random_weights import lively
from tests.zoo.transformers import flux2
from tests.zoo.transformers.parts import WORDS, case, flow, noise, prompts, run

PICTURE = 16 * LATENT  # whatever the VAE, sixteen times the latent
SHAPE = {
    "in_channels": 4,
    "num_layers": 2,
    "num_single_layers": 5,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "joint_attention_dim": 2 * EMBEDDING,  # two layers of the text encoder
    "axes_dims_rope": [2, 2, 4],
    "text_encoder_dim": EMBEDDING,
}
SHAPE_2 = {
    "in_channels": 4,
    "patch_size": 2,
    "dim": 16,
    "n_layers": 6,
    "n_refiner_layers": 1,
    "n_heads": 2,
    "cap_feat_dim": EMBEDDING,
    "injection_layer_ids": (1, 4),
    "perceiver_num_layers": 1,
    "min_num_gist_tokens": 4,
    "max_num_gist_tokens": 8,
    "gist_step": 2,
    "gist_min_text_len": 4,
    "gist_max_text_len": 16,
    "axes_dims": (4, 2, 2),
    "axes_lens": (32, 32, 32),
}


def vae() -> AutoencoderKLWan:
    """Pictures (3, 1, 16h, 16w) to latents (4, 1, h, w)."""
    shape = {
        "base_dim": 4,
        "z_dim": 4,
        "dim_mult": [1, 1, 1, 1],
        "num_res_blocks": 1,
        "patch_size": 2,
        "in_channels": 12,
        "out_channels": 12,
        "latents_mean": [0.1, -0.1, 0.2, -0.2],
        "latents_std": [1.0, 1.1, 1.2, 1.3],
    }
    return parts.seeded(1, lambda: AutoencoderKLWan(**shape))


def build(cls: Any) -> Any:
    return parts.quiet(
        cls(
            transformer=lively(0, lambda: BriaFiboTransformer2DModel(**SHAPE)),
            scheduler=flow(),
            vae=vae(),
            text_encoder=parts.text_encoder(num_hidden_layers=6),
            tokenizer=parts.tokenizer(),
        )
    )


def sample(pipe: Any, guided: bool, **changes: Any) -> Any:
    call = {
        "prompt": parts.PROMPT,
        "negative_prompt": "a dog",
        "max_sequence_length": TOKENS,
        "height": PICTURE,
        "width": PICTURE,
    }
    return run(pipe, guided, **call | changes)


def edit() -> dict[str, Any]:
    return {"prompt": json.dumps({"edit_instruction": "a dog"}), "image": parts.pil_picture(PICTURE)}


def edit_masked() -> dict[str, Any]:
    return edit() | {"mask": parts.pil_picture(PICTURE).convert("L").point(lambda value: 255 * (value > 127))}


def build_2(cls: Any) -> Any:
    pipe = cls(
        transformer=lively(0, lambda: BriaFibo2Transformer2DModel(**SHAPE_2)),
        scheduler=flow(),
        vae=flux2.vae(),
        text_encoder=None,
        processor=None,
    )
    pipe.default_sample_size = LATENT
    return parts.quiet(pipe)


def sample_2(pipe: Any, guided: bool, **changes: Any) -> Any:
    bundles = 1 + len(SHAPE_2["injection_layer_ids"])
    words = prompts(mask="embeds_mask", ones=torch.bool) | {
        "prompt_embeds": noise(1, bundles, WORDS, EMBEDDING, seed=7),
        "negative_prompt_embeds": noise(1, bundles, WORDS, EMBEDDING, seed=8),
    }
    return run(pipe, guided, **words | changes)


CASES = [
    case("BriaFiboPipeline", "image", build, sample),
    case("BriaFiboEditPipeline", "image", build, sample, edit),
    case("BriaFiboEditPipeline (mask)", "inpainting", build, sample, edit_masked),
    case("BriaFibo2Pipeline", "image", build_2, sample_2),
    case("BriaFibo2Pipeline (picture)", "image", build_2, sample_2, lambda: {"image": parts.pil_picture()}),
]
