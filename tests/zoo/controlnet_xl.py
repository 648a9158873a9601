"""ControlNets beside SDXL's U-Net, and one for several kinds of control (ControlNet Union)."""

from typing import Any

from diffusers import (
    StableDiffusionXLControlNetImg2ImgPipeline,
    StableDiffusionXLControlNetInpaintPipeline,
    StableDiffusionXLControlNetPipeline,
    StableDiffusionXLControlNetUnionImg2ImgPipeline,
    StableDiffusionXLControlNetUnionInpaintPipeline,
    StableDiffusionXLControlNetUnionPipeline,
)

from tests.zoo import parts
from tests.zoo.case import Case

STRENGTH = 0.9  # of six steps, five are run


def one(cls: Any = StableDiffusionXLControlNetPipeline) -> Any:
    return parts.stable_diffusion_xl(cls, controlnet=parts.controlnet_xl())


def two(cls: Any = StableDiffusionXLControlNetPipeline) -> Any:
    return parts.stable_diffusion_xl(cls, controlnet=[parts.controlnet_xl(2), parts.controlnet_xl(3)])


def union(cls: Any = StableDiffusionXLControlNetUnionPipeline) -> Any:
    return parts.stable_diffusion_xl(cls, controlnet=parts.controlnet_union())


def two_unions() -> Any:
    return parts.stable_diffusion_xl(
        StableDiffusionXLControlNetUnionPipeline,
        controlnet=[parts.controlnet_union(2), parts.controlnet_union(3)],
    )


def control() -> Any:
    return parts.picture(seed=6)


def sample(pipe: Any, guided: bool, **changes: Any) -> Any:
    return parts.run_xl(pipe, guided, **{"image": parts.picture()} | changes)


def sample_two(pipe: Any, guided: bool) -> Any:
    pictures = [parts.picture(), control()]
    return sample(pipe, guided, image=pictures, controlnet_conditioning_scale=[1.0, 0.5])


def sample_img2img(pipe: Any, guided: bool, **changes: Any) -> Any:
    call = {"control_image": control(), "strength": STRENGTH}
    return sample(pipe, guided, **call | changes)


def sample_inpaint(pipe: Any, guided: bool, **changes: Any) -> Any:
    call = {"mask_image": parts.mask(), "control_image": control()}
    return sample(pipe, guided, **call | changes)


def sample_union(pipe: Any, guided: bool, **changes: Any) -> Any:
    call = {"control_image": control(), "control_mode": 1}
    return parts.run_xl(pipe, guided, **call | changes)


def sample_two_kinds(pipe: Any, guided: bool) -> Any:
    """Two kinds of control for one model."""
    return sample_union(pipe, guided, control_image=[parts.picture(), control()], control_mode=[1, 3])


def sample_two_unions(pipe: Any, guided: bool) -> Any:
    return sample_union(
        pipe,
        guided,
        control_image=[parts.picture(), control()],
        control_mode=[1, 3],
        controlnet_conditioning_scale=[1.0, 0.5],
    )


CASES = [
    Case("StableDiffusionXLControlNetPipeline", "controlnet", one, sample),
    Case("StableDiffusionXLControlNetPipeline (two)", "controlnet", two, sample_two),
    Case(
        "StableDiffusionXLControlNetPipeline (guess mode)",
        "controlnet",
        one,
        lambda pipe, guided: sample(pipe, guided, guess_mode=True),
    ),
    Case(
        "StableDiffusionXLControlNetPipeline (guidance end 0.5)",
        "controlnet",
        one,
        lambda pipe, guided: sample(pipe, guided, control_guidance_end=0.5),
    ),
    Case(
        "StableDiffusionXLControlNetImg2ImgPipeline",
        "controlnet",
        lambda: one(StableDiffusionXLControlNetImg2ImgPipeline),
        sample_img2img,
    ),
    Case(
        "StableDiffusionXLControlNetInpaintPipeline",
        "controlnet",
        lambda: one(StableDiffusionXLControlNetInpaintPipeline),
        sample_inpaint,
    ),
    Case("StableDiffusionXLControlNetUnionPipeline", "controlnet", union, sample_union),
    Case("StableDiffusionXLControlNetUnionPipeline (two kinds)", "controlnet", union, sample_two_kinds),
    Case("StableDiffusionXLControlNetUnionPipeline (two)", "controlnet", two_unions, sample_two_unions),
    # Guess mode with guidance fails in diffusers itself: the kinds of control are repeated for both lots, of
    # which the ControlNet is given one.
    Case(
        "StableDiffusionXLControlNetUnionPipeline (guess mode)",
        "controlnet",
        union,
        lambda pipe, guided: sample_union(pipe, guided=False, guess_mode=True),
        guidance=False,
    ),
    Case(
        "StableDiffusionXLControlNetUnionPipeline (guidance end 0.5)",
        "controlnet",
        union,
        lambda pipe, guided: sample_union(pipe, guided, control_guidance_end=0.5),
    ),
    Case(
        "StableDiffusionXLControlNetUnionImg2ImgPipeline",
        "controlnet",
        lambda: union(StableDiffusionXLControlNetUnionImg2ImgPipeline),
        lambda pipe, guided: sample_img2img(pipe, guided, control_mode=1),
    ),
    Case(
        "StableDiffusionXLControlNetUnionInpaintPipeline",
        "controlnet",
        lambda: union(StableDiffusionXLControlNetUnionInpaintPipeline),
        lambda pipe, guided: sample_inpaint(pipe, guided, control_mode=1),
    ),
]
