"""Kandinsky 2.1: its U-Net is given the text as well as the image embedding."""

import diffusers

from tests.zoo.case import Case
from tests.zoo.kandinsky_parts import (
    INPAINTING,
    NO_UNET,
    OF_TEXT,
    build,
    build_combined,
    build_prior,
    masked,
    on_picture,
    run_combined,
    run_prior,
    run_with_text,
)

CASES = [
    Case(
        "KandinskyPipeline",
        "image",
        lambda: build(diffusers.KandinskyPipeline, OF_TEXT),
        run_with_text,
    ),
    Case(
        "KandinskyImg2ImgPipeline",
        "image",
        lambda: build(diffusers.KandinskyImg2ImgPipeline, OF_TEXT),
        lambda pipe, guided: run_with_text(pipe, guided, **on_picture()),
    ),
    Case(
        "KandinskyInpaintPipeline",
        "inpainting",
        lambda: build(diffusers.KandinskyInpaintPipeline, OF_TEXT | INPAINTING),
        lambda pipe, guided: run_with_text(pipe, guided, **masked()),
    ),
    Case(
        "KandinskyPriorPipeline",
        "other",
        lambda: build_prior(diffusers.KandinskyPriorPipeline),
        run_prior,
        refused=NO_UNET,
    ),
    Case(
        "KandinskyCombinedPipeline",
        "image",
        lambda: build_combined(diffusers.KandinskyCombinedPipeline, OF_TEXT),
        run_combined,
    ),
    Case(
        "KandinskyImg2ImgCombinedPipeline",
        "image",
        lambda: build_combined(diffusers.KandinskyImg2ImgCombinedPipeline, OF_TEXT),
        lambda pipe, guided: run_combined(pipe, guided, **on_picture()),
    ),
    Case(
        "KandinskyInpaintCombinedPipeline",
        "inpainting",
        lambda: build_combined(diffusers.KandinskyInpaintCombinedPipeline, OF_TEXT | INPAINTING),
        lambda pipe, guided: run_combined(pipe, guided, **masked()),
    ),
]
