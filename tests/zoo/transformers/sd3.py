"""Stable Diffusion 3: blocks of two streams, the last of which ends the text's."""

from typing import Any

import torch
from diffusers import SD3ControlNetModel, SD3MultiControlNetModel, SD3Transformer2DModel

from tests.zoo import parts
from tests.zoo.parts import EMBEDDING, LATENT, POOLED
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import case, control, drawing, flow, masked, on_picture, prompts, run

SHAPE = {
    "sample_size": LATENT,
    "in_channels": 4,
    "out_channels": 4,
    "num_layers": 6,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "joint_attention_dim": EMBEDDING,
    "caption_projection_dim": 16,
    "pooled_projection_dim": POOLED,
    "pos_embed_max_size": LATENT,
}
OF_3_5 = {"qk_norm": "rms_norm", "dual_attention_layers": (0, 1, 2)}  # SD 3.5 medium
OF_INPAINTING = {"extra_conditioning_channels": 1}
LAYERS_OF_CONTROLNET = 2  # its three outputs go to two of the transformer's blocks each


def transformer(**changes: Any) -> SD3Transformer2DModel:
    return lively(0, lambda: SD3Transformer2DModel(**SHAPE | changes))


def controlnet(seed: int = 2, **changes: Any) -> SD3ControlNetModel:
    shape = SHAPE | {"num_layers": LAYERS_OF_CONTROLNET} | changes
    return lively(seed, lambda: SD3ControlNetModel(**shape))


def two_controlnets() -> SD3MultiControlNetModel:
    return SD3MultiControlNetModel([controlnet(), controlnet(3)])


def build(cls: Any, shape: dict[str, Any] | None = None, **more: Any) -> Any:
    names = [f"{part}{number}" for part in ("text_encoder", "tokenizer") for number in ("", "_2", "_3")]
    model = transformer(**shape or {})
    return parts.quiet(
        cls(
            scheduler=flow(shift=3.0),
            vae=parts.vae(model.config.in_channels, shift_factor=0.1),
            transformer=model,
            **dict.fromkeys(names),
            **more,
        )
    )


def build_3_5(cls: Any) -> Any:
    return build(cls, OF_3_5)


def build_wide(cls: Any) -> Any:
    """Inpainting insists on sixteen channels."""
    return build(cls, {"in_channels": 16, "out_channels": 16})


def build_perturbed(cls: Any) -> Any:
    return build(cls, pag_applied_layers=["blocks.2"])


def with_controlnet(cls: Any) -> Any:
    return build(cls, controlnet=controlnet())


def sample(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    return run(pipe, guided, **prompts(pooled=POOLED), **changes)


sample_controlled = drawing(sample)  # the latent of the control


def controls() -> dict[str, Any]:
    pictures = [parts.picture(seed=6), parts.picture(seed=9)]
    return {"control_image": pictures, "controlnet_conditioning_scale": [1.0, 0.5]}


CASES = [
    case("StableDiffusion3Pipeline", "image", build, sample),
    case("StableDiffusion3Pipeline (3.5)", "image", build_3_5, sample),
    case(
        "StableDiffusion3Pipeline (layers skipped)",
        "image",
        build_3_5,
        sample,
        lambda: {"skip_guidance_layers": [2, 3], "skip_layer_guidance_stop": 0.6},
    ),
    case("StableDiffusion3Img2ImgPipeline", "image", build, sample, on_picture),
    case("StableDiffusion3InpaintPipeline", "inpainting", build_wide, sample, masked),
    case("StableDiffusion3PAGPipeline", "image", build_perturbed, sample),
    case("StableDiffusion3PAGImg2ImgPipeline", "image", build_perturbed, sample, on_picture),
    case("StableDiffusion3ControlNetPipeline", "controlnet", with_controlnet, sample_controlled, control),
    case(
        "StableDiffusion3ControlNetPipeline (two)",
        "controlnet",
        lambda cls: build(cls, controlnet=two_controlnets()),
        sample_controlled,
        controls,
    ),
    case(
        "StableDiffusion3ControlNetPipeline (guidance end 0.5)",
        "controlnet",
        with_controlnet,
        sample_controlled,
        lambda: control() | {"control_guidance_end": 0.5},
    ),
    case(
        "StableDiffusion3ControlNetInpaintingPipeline",
        "controlnet",
        lambda cls: build(cls, controlnet=controlnet(**OF_INPAINTING)),
        sample_controlled,
        lambda: control() | {"control_mask": parts.mask()},
    ),
]
