"""ControlNet-XS: a small encoder that is fused into the U-Net and talks with it at every layer."""

from typing import Any

from diffusers import (
    ControlNetXSAdapter,
    StableDiffusionControlNetXSPipeline,
    StableDiffusionXLControlNetXSPipeline,
    UNet2DConditionModel,
)

from tests.zoo import parts
from tests.zoo.case import Case

LAYERS = 2  # per block: the only number that ControlNet-XS is made for


def controlnet_xs(denoiser: UNet2DConditionModel) -> ControlNetXSAdapter:
    """Half as wide as its U-Net."""
    shape = {"size_ratio": 0.5, "conditioning_embedding_out_channels": parts.CONTROL_CHANNELS}
    return parts.seeded(2, lambda: parts.trained(ControlNetXSAdapter.from_unet(denoiser, **shape)))


def stable_diffusion() -> Any:
    unet = parts.unet(layers_per_block=LAYERS)
    return parts.stable_diffusion(
        StableDiffusionControlNetXSPipeline, unet=unet, controlnet=controlnet_xs(unet)
    )


def stable_diffusion_xl() -> Any:
    unet = parts.unet_xl(layers_per_block=LAYERS)
    return parts.stable_diffusion_xl(
        StableDiffusionXLControlNetXSPipeline, unet=unet, controlnet=controlnet_xs(unet)
    )


def sample(pipe: Any, guided: bool, **changes: Any) -> Any:
    return parts.run(pipe, guided, **{"image": parts.picture()} | changes)


def sample_xl(pipe: Any, guided: bool) -> Any:
    return sample(pipe, guided, **parts.embeddings_xl())


CASES = [
    Case("StableDiffusionControlNetXSPipeline", "controlnet", stable_diffusion, sample),
    Case(
        "StableDiffusionControlNetXSPipeline (guidance end 0.5)",
        "controlnet",
        stable_diffusion,
        lambda pipe, guided: sample(pipe, guided, control_guidance_end=0.5),
    ),
    Case("StableDiffusionXLControlNetXSPipeline", "controlnet", stable_diffusion_xl, sample_xl),
]
