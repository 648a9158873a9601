"""ControlNets beside Stable Diffusion's U-Net: one, two, and in all their ways of being called."""

from typing import Any

from diffusers import (
    StableDiffusionControlNetImg2ImgPipeline,
    StableDiffusionControlNetInpaintPipeline,
    StableDiffusionControlNetPipeline,
)

from tests.zoo import parts
from tests.zoo.case import Case

STRENGTH = 0.9  # of six steps, five are run


def one(cls: Any = StableDiffusionControlNetPipeline) -> Any:
    return parts.stable_diffusion(cls, controlnet=parts.controlnet())


def two(cls: Any = StableDiffusionControlNetPipeline) -> Any:
    return parts.stable_diffusion(cls, controlnet=[parts.controlnet(2), parts.controlnet(3)])


def sample(pipe: Any, guided: bool, **changes: Any) -> Any:
    return parts.run(pipe, guided, **{"image": parts.picture()} | changes)


def sample_two(pipe: Any, guided: bool, **changes: Any) -> Any:
    scales = {"controlnet_conditioning_scale": [1.0, 0.5]}
    return sample(pipe, guided, image=two_pictures(), **scales | changes)


def two_pictures() -> list[Any]:
    return [parts.picture(seed=5), parts.picture(seed=6)]


def sample_img2img(pipe: Any, guided: bool, **changes: Any) -> Any:
    call = {"strength": STRENGTH, "control_image": parts.picture(seed=6)}
    return sample(pipe, guided, **call | changes)


def sample_inpaint(pipe: Any, guided: bool, **changes: Any) -> Any:
    call = {
        "mask_image": parts.mask(),
        "control_image": parts.picture(seed=6),
        "height": parts.PICTURE,
        "width": parts.PICTURE,
    }
    return sample(pipe, guided, **call | changes)


CASES = [
    Case("StableDiffusionControlNetPipeline", "controlnet", one, sample),
    Case("StableDiffusionControlNetPipeline (two)", "controlnet", two, sample_two),
    Case(
        "StableDiffusionControlNetPipeline (guess mode)",
        "controlnet",
        one,
        lambda pipe, guided: sample(pipe, guided, guess_mode=True),
    ),
    Case(
        "StableDiffusionControlNetPipeline (two in guess mode)",
        "controlnet",
        two,
        lambda pipe, guided: sample_two(pipe, guided, guess_mode=True),
    ),
    Case(
        "StableDiffusionControlNetPipeline (guidance end 0.5)",
        "controlnet",
        one,
        lambda pipe, guided: sample(pipe, guided, control_guidance_end=0.5),
    ),
    Case(
        "StableDiffusionControlNetPipeline (guidance start 0.4)",
        "controlnet",
        one,
        lambda pipe, guided: sample(pipe, guided, control_guidance_start=0.4),
    ),
    Case(
        "StableDiffusionControlNetPipeline (two in turn)",
        "controlnet",
        two,
        lambda pipe, guided: sample_two(
            pipe, guided, control_guidance_start=[0.0, 0.5], control_guidance_end=[0.5, 1.0]
        ),
    ),
    Case(
        "StableDiffusionControlNetImg2ImgPipeline",
        "controlnet",
        lambda: one(StableDiffusionControlNetImg2ImgPipeline),
        sample_img2img,
    ),
    Case(
        "StableDiffusionControlNetImg2ImgPipeline (two in guess mode)",
        "controlnet",
        lambda: two(StableDiffusionControlNetImg2ImgPipeline),
        lambda pipe, guided: sample_img2img(
            pipe,
            guided,
            control_image=two_pictures(),
            controlnet_conditioning_scale=[1.0, 0.5],
            guess_mode=True,
        ),
    ),
    Case(
        "StableDiffusionControlNetInpaintPipeline",
        "controlnet",
        lambda: one(StableDiffusionControlNetInpaintPipeline),
        sample_inpaint,
    ),
    Case(
        "StableDiffusionControlNetInpaintPipeline (9 channels)",
        "controlnet",
        lambda: parts.stable_diffusion(
            StableDiffusionControlNetInpaintPipeline,
            unet=parts.unet(in_channels=9),
            controlnet=parts.controlnet(),
        ),
        sample_inpaint,
    ),
    Case(
        "StableDiffusionControlNetInpaintPipeline (two)",
        "controlnet",
        lambda: two(StableDiffusionControlNetInpaintPipeline),
        lambda pipe, guided: sample_inpaint(
            pipe, guided, control_image=two_pictures(), controlnet_conditioning_scale=[1.0, 0.5]
        ),
    ),
]
