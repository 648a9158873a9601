"""Kandinsky 2.2: its U-Net is given the image embedding alone, or a hint beside it."""

import diffusers

from tests.zoo.case import Case
from tests.zoo.kandinsky_parts import (
    INPAINTING,
    NO_UNET,
    OF_HINT,
    OF_IMAGE,
    build,
    build_combined,
    build_prior,
    hint,
    masked,
    on_picture,
    run,
    run_combined,
    run_prior,
)
from tests.zoo.parts import picture

CASES = [
    Case(
        "KandinskyV22Pipeline",
        "image",
        lambda: build(diffusers.KandinskyV22Pipeline, OF_IMAGE),
        run,
    ),
    Case(
        "KandinskyV22Img2ImgPipeline",
        "image",
        lambda: build(diffusers.KandinskyV22Img2ImgPipeline, OF_IMAGE),
        lambda pipe, guided: run(pipe, guided, **on_picture()),
    ),
    Case(
        "KandinskyV22InpaintPipeline",
        "inpainting",
        lambda: build(diffusers.KandinskyV22InpaintPipeline, OF_IMAGE | INPAINTING),
        lambda pipe, guided: run(pipe, guided, **masked()),
    ),
    Case(
        "KandinskyV22ControlnetPipeline",
        "controlnet",
        lambda: build(diffusers.KandinskyV22ControlnetPipeline, OF_HINT),
        lambda pipe, guided: run(pipe, guided, **hint()),
    ),
    Case(
        "KandinskyV22ControlnetImg2ImgPipeline",
        "controlnet",
        lambda: build(diffusers.KandinskyV22ControlnetImg2ImgPipeline, OF_HINT),
        lambda pipe, guided: run(pipe, guided, **on_picture(), **hint()),
    ),
    Case(
        "KandinskyV22PriorPipeline",
        "other",
        lambda: build_prior(diffusers.KandinskyV22PriorPipeline),
        run_prior,
        refused=NO_UNET,
    ),
    Case(
        "KandinskyV22PriorEmb2EmbPipeline",
        "other",
        lambda: build_prior(diffusers.KandinskyV22PriorEmb2EmbPipeline),
        lambda pipe, guided: run_prior(pipe, guided, image=picture(), strength=1.0),
        refused=NO_UNET,
    ),
    Case(
        "KandinskyV22CombinedPipeline",
        "image",
        lambda: build_combined(diffusers.KandinskyV22CombinedPipeline, OF_IMAGE),
        run_combined,
    ),
    Case(
        "KandinskyV22Img2ImgCombinedPipeline",
        "image",
        lambda: build_combined(diffusers.KandinskyV22Img2ImgCombinedPipeline, OF_IMAGE),
        lambda pipe, guided: run_combined(pipe, guided, **on_picture()),
    ),
    Case(
        "KandinskyV22InpaintCombinedPipeline",
        "inpainting",
        lambda: build_combined(diffusers.KandinskyV22InpaintCombinedPipeline, OF_IMAGE | INPAINTING),
        lambda pipe, guided: run_combined(pipe, guided, **masked()),
    ),
]
