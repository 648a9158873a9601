"""Hunyuan-DiT: blocks with long skip connections, as a U-Net has them."""

from typing import Any

import torch
from diffusers import (
    DDPMScheduler,
    HunyuanDiT2DControlNetModel,
    HunyuanDiT2DModel,
    HunyuanDiT2DMultiControlNetModel,
)

from tests.zoo import parts
from tests.zoo.parts import EMBEDDING, LATENT
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import WORDS, case, control, drawing, noise, run

SHAPE = {
    "num_attention_heads": 2,
    "attention_head_dim": 8,
    "hidden_size": 16,
    "in_channels": 4,
    "patch_size": 2,
    "sample_size": LATENT,
    "mlp_ratio": 2.0,
    "cross_attention_dim": EMBEDDING,
    "cross_attention_dim_t5": EMBEDDING,
    "pooled_projection_dim": 8,
    "text_len": WORDS,
    "text_len_t5": WORDS,
}
NOISE = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.018, "clip_sample": False}
LAYERS = 8  # each of the last three is given the output of one of the first


def transformer(told_size: bool) -> HunyuanDiT2DModel:
    shape = SHAPE | {"num_layers": LAYERS, "use_style_cond_and_image_meta_size": told_size}
    return lively(0, lambda: HunyuanDiT2DModel(**shape))


def controlnet(seed: int = 2) -> HunyuanDiT2DControlNetModel:
    return lively(seed, lambda: HunyuanDiT2DControlNetModel(**SHAPE, transformer_num_layers=LAYERS))


def build(cls: Any, told_size: bool = True, **more: Any) -> Any:
    return parts.quiet(
        cls(
            vae=parts.vae(),
            text_encoder=None,
            tokenizer=None,
            transformer=transformer(told_size),
            scheduler=DDPMScheduler(
                beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.018, clip_sample=False
            ),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
            **more,
        )
    )


def build_1_2(cls: Any, **more: Any) -> Any:
    """It is not told the size of the picture."""
    return build(cls, told_size=False, **more)


def with_controlnet(cls: Any) -> Any:
    return build(cls, controlnet=controlnet())


def words() -> dict[str, Any]:
    """Of two text encoders."""
    given: dict[str, Any] = {}
    for seed, name in enumerate(("prompt", "negative_prompt"), start=7):
        for of, ending in enumerate(("", "_2")):
            given[f"{name}_embeds{ending}"] = noise(1, WORDS, EMBEDDING, seed=seed + 2 * of)
            given[f"{name}_attention_mask{ending}"] = torch.ones(1, WORDS, dtype=torch.long)
    return given


def sample(pipe: Any, guided: bool, **changes: Any) -> Any:
    return run(pipe, guided, use_resolution_binning=False, **words() | changes)


def controls() -> dict[str, Any]:
    pictures = [parts.picture(seed=6), parts.picture(seed=9)]
    return {"control_image": pictures, "controlnet_conditioning_scale": [1.0, 0.5]}


CASES = [
    case("HunyuanDiTPipeline", "image", build, sample),
    case("HunyuanDiTPipeline (1.2)", "image", build_1_2, sample),
    case(
        "HunyuanDiTPAGPipeline",
        "image",
        lambda cls: build_1_2(cls, pag_applied_layers=["blocks.3"]),
        sample,
    ),
    case("HunyuanDiTControlNetPipeline", "controlnet", with_controlnet, drawing(sample), control),
    case(
        "HunyuanDiTControlNetPipeline (two)",
        "controlnet",
        lambda cls: build(cls, controlnet=HunyuanDiT2DMultiControlNetModel([controlnet(), controlnet(3)])),
        drawing(sample),
        controls,
    ),
]
