"""GLIGEN: objects in boxes, through gated attention layers that are on for the first steps only."""

from typing import Any

from diffusers import (
    StableDiffusionGLIGENPipeline,
    StableDiffusionGLIGENTextImagePipeline,
    UNet2DConditionModel,
)
from diffusers.pipelines.stable_diffusion import CLIPImageProjection
from torch import nn
from transformers import CLIPProcessor

from tests.zoo import parts
from tests.zoo.case import Case

BOXES = [[0.1, 0.2, 0.6, 0.7], [0.5, 0.5, 0.9, 0.9]]


def unet(kind: str) -> UNet2DConditionModel:
    """With its gates open: they are closed when it is made."""
    denoiser = parts.unet(attention_type=kind)
    for name, gate in denoiser.named_parameters():
        if "alpha_" in name:
            nn.init.constant_(gate, 0.8)
    return denoiser


def gligen() -> Any:
    return parts.stable_diffusion(StableDiffusionGLIGENPipeline, unet=unet("gated"), **parts.prompted())


def gligen_text_image() -> Any:
    return parts.stable_diffusion(
        StableDiffusionGLIGENTextImagePipeline,
        unet=unet("gated-text-image"),
        processor=CLIPProcessor(parts.feature_extractor(), parts.tokenizer()),
        image_encoder=parts.image_encoder_with_projection(),
        image_project=parts.seeded(4, lambda: CLIPImageProjection(hidden_size=parts.EMBEDDING)),
        **parts.prompted(),
    )


def sample(pipe: Any, guided: bool, **changes: Any) -> Any:
    call = {
        "prompt": parts.PROMPT,
        "gligen_phrases": ["a cat", "a dog"],
        "gligen_boxes": BOXES,
        "gligen_scheduled_sampling_beta": 0.5,
    }
    return parts.run(pipe, guided, **call | changes)


def sample_text_image(pipe: Any, guided: bool) -> Any:
    pictures = [parts.pil_picture(), parts.pil_picture(seed=6)]
    return sample(pipe, guided, gligen_images=pictures)


CASES = [
    Case("StableDiffusionGLIGENPipeline", "image", gligen, sample),
    Case("StableDiffusionGLIGENTextImagePipeline", "image", gligen_text_image, sample_text_image),
]
