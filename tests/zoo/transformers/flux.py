"""Flux 1: two double and five single blocks; pictures are packed to patches outside of the transformer."""

from typing import Any

import torch
from diffusers import AutoencoderKL, FluxControlNetModel, FluxMultiControlNetModel, FluxTransformer2DModel

from tests.zoo import parts
from tests.zoo.parts import EMBEDDING, POOLED
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import (
    STRENGTH,
    case,
    control,
    flow,
    masked,
    on_picture,
    positive,
    prompts,
    run,
)

PATCHED = 4 * 4  # channels of a patch: 2x2 pixels of a latent with four channels
SHAPE = {
    "in_channels": PATCHED,
    "num_layers": 2,
    "num_single_layers": 5,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "joint_attention_dim": EMBEDDING,
    "pooled_projection_dim": POOLED,
    "axes_dims_rope": (2, 2, 4),
    "guidance_embeds": True,
}
OF_CONTROL = {"in_channels": 2 * PATCHED, "out_channels": PATCHED}
OF_FILL = {
    "in_channels": 3 * PATCHED,
    "out_channels": PATCHED,
}  # latent, picture, mask
BEFORE = {"num_layers": 1, "num_single_layers": 2}  # blocks of a ControlNet


def transformer(**changes: Any) -> FluxTransformer2DModel:
    return lively(0, lambda: FluxTransformer2DModel(**SHAPE | changes))


def controlnet(seed: int = 2, **changes: Any) -> FluxControlNetModel:
    return lively(seed, lambda: FluxControlNetModel(**SHAPE | BEFORE | changes))


def two_controlnets() -> FluxMultiControlNetModel:
    return FluxMultiControlNetModel([controlnet(), controlnet(3)])


def vae() -> AutoencoderKL:
    return parts.vae(shift_factor=0.1)


def build(cls: Any, shape: dict[str, Any] | None = None, **more: Any) -> Any:
    without_words = dict.fromkeys(("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2"))
    return parts.quiet(
        cls(scheduler=flow(), vae=vae(), transformer=transformer(**shape or {}), **without_words, **more)
    )


def sample(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    """Guidance is a number that the transformer is told."""
    return run(pipe, guided, **positive(prompts(pooled=POOLED)) | changes)


def sample_twice_a_step(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    """Guidance is a second call, with the negative prompt."""
    return run(pipe, guided, scale="true_cfg_scale", guidance_scale=3.5, **prompts(pooled=POOLED) | changes)


def controls() -> dict[str, Any]:
    pictures = [parts.picture(seed=6), parts.picture(seed=9)]
    return {"control_image": pictures, "controlnet_conditioning_scale": [1.0, 0.5]}


def reference() -> dict[str, Any]:
    """Kontext's pictures stay as small as they are."""
    return {"image": parts.picture(), "max_area": parts.PICTURE**2, "_auto_resize": False}


def with_control(cls: Any) -> Any:
    return build(cls, OF_CONTROL)


def with_controlnet(cls: Any) -> Any:
    return build(cls, controlnet=controlnet())


CASES = [
    case("FluxPipeline", "image", build, sample_twice_a_step),
    case("FluxPipeline (guidance embedded)", "image", build, sample),
    case(
        "FluxPipeline (guidance unknown)",
        "image",
        lambda cls: build(cls, {"guidance_embeds": False}),
        sample_twice_a_step,
    ),
    case("FluxImg2ImgPipeline", "image", build, sample_twice_a_step, on_picture),
    case("FluxInpaintPipeline", "inpainting", build, sample_twice_a_step, masked),
    case(
        "FluxFillPipeline",
        "inpainting",
        lambda cls: build(cls, OF_FILL),
        sample,
        lambda: masked() | {"strength": 1.0},
    ),
    case("FluxControlPipeline", "controlnet", with_control, sample, control),
    case("FluxControlImg2ImgPipeline", "controlnet", with_control, sample, lambda: on_picture() | control()),
    case("FluxControlInpaintPipeline", "controlnet", with_control, sample, lambda: masked() | control()),
    case("FluxControlNetPipeline", "controlnet", with_controlnet, sample_twice_a_step, control),
    case(
        "FluxControlNetPipeline (modes)",
        "controlnet",
        lambda cls: build(cls, controlnet=controlnet(num_mode=3)),
        sample,
        lambda: control() | {"control_mode": 1},
    ),
    case(
        "FluxControlNetPipeline (guidance end 0.5)",
        "controlnet",
        with_controlnet,
        sample,
        lambda: control() | {"control_guidance_end": 0.5},
    ),
    case(
        "FluxControlNetPipeline (two)",
        "controlnet",
        lambda cls: build(cls, controlnet=two_controlnets()),
        sample,
        controls,
    ),
    case(
        "FluxControlNetImg2ImgPipeline",
        "controlnet",
        with_controlnet,
        sample,
        lambda: on_picture() | control(),
    ),
    case(
        "FluxControlNetInpaintPipeline", "controlnet", with_controlnet, sample, lambda: masked() | control()
    ),
    case("FluxKontextPipeline", "image", build, sample_twice_a_step, reference),
    case(
        "FluxKontextInpaintPipeline",
        "inpainting",
        build,
        sample_twice_a_step,
        lambda: reference() | {"mask_image": parts.mask(), "strength": STRENGTH},
    ),
]
