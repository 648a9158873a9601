"""Z-Image: refiners for the picture and the words, then one stream of both."""

from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, ZImageControlNetModel, ZImageTransformer2DModel
from torch import nn
from transformers import BatchFeature
from transformers.modeling_outputs import BaseModelOutput

from tests.zoo import parts
from tests.zoo.parts import EMBEDDING
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import (
    WORDS,
    case,
    control,
    deep_vae,
    flow,
    masked,
    noise,
    on_picture,
    run,
    seeing,
)

SHAPE = {
    "in_channels": 4,
    "dim": 16,
    "n_layers": 6,
    "n_refiner_layers": 2,
    "n_heads": 2,
    "n_kv_heads": 2,
    "cap_feat_dim": EMBEDDING,
    "axes_dims": [2, 2, 4],
    "axes_lens": [128, 32, 32],
}
OF_CONTROLNET = {
    "control_layers_places": [0, 2, 4],
    "control_refiner_layers_places": [0, 1],
    "add_control_noise_refiner": "control_noise_refiner",
    "dim": 16,
    "n_refiner_layers": 2,
    "n_heads": 2,
    "n_kv_heads": 2,
}


def transformer(**changes: Any) -> ZImageTransformer2DModel:
    return lively(0, lambda: ZImageTransformer2DModel(**SHAPE | changes))


def controlnet(channels: int) -> ZImageControlNetModel:
    """It shares all parts that stand before its own with the transformer."""
    return lively(2, lambda: ZImageControlNetModel(**OF_CONTROLNET, control_in_dim=channels))


def build(cls: Any, **more: Any) -> Any:
    of_all = {
        "scheduler": flow(),
        "vae": parts.vae(shift_factor=0.1),
        "text_encoder": None,
        "tokenizer": None,
        "transformer": transformer(),
    }
    return parts.quiet(cls(**of_all | more))


def words() -> dict[str, list[torch.Tensor]]:
    return {
        "prompt_embeds": [noise(WORDS, EMBEDDING, seed=7)],
        "negative_prompt_embeds": [noise(WORDS - 1, EMBEDDING, seed=8)],
    }


def sample(pipe: Any, guided: bool, **changes: Any) -> Any:
    return run(pipe, guided, off=0.0, **words() | changes)


# Omni: each word, picture and view of a picture is a part of the stream, clean or noisy

VIEW = 16  # channels of what the picture's encoder sees
REFERENCE = 64  # pixels; smaller pictures are refused


class Seen(nn.Module):
    """Stands in for the picture's encoder: a patch is as bright as the picture."""

    dtype = torch.float32
    device = torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        self.projection = nn.Linear(1, VIEW)

    def forward(self, pixel_values: torch.Tensor, spatial_shapes: torch.Tensor) -> BaseModelOutput:
        return BaseModelOutput(last_hidden_state=self.projection(pixel_values))


class Processor:
    """A picture to four patches."""

    def __call__(self, images: list[Any], return_tensors: str) -> BatchFeature:
        patches = [
            np.asarray(picture, np.float32).mean() / 255 + place for picture in images for place in range(4)
        ]
        values = torch.tensor(patches).view(len(images), 4, 1)
        return BatchFeature({"pixel_values": values, "spatial_shapes": torch.tensor([[2, 2]] * len(images))})


def omni_vae() -> AutoencoderKL:
    """Pictures are given to it in half precision, whatever it is in."""
    model = deep_vae(shift_factor=0.1)
    return seeing(model, lambda x: x.to(model.dtype))


def build_omni(cls: Any) -> Any:
    return build(
        cls,
        vae=omni_vae(),
        transformer=transformer(siglip_feat_dim=VIEW),
        siglip=parts.seeded(3, Seen),
        siglip_processor=Processor(),
    )


def sample_omni(pipe: Any, guided: bool, pictures: int = 0) -> Any:
    """Words stand before, between and behind the pictures."""
    segments = pictures + 2 if pictures else 1
    words = {
        "prompt_embeds": [[noise(WORDS, EMBEDDING, seed=7 + place) for place in range(segments)]],
        "negative_prompt_embeds": [
            [noise(WORDS - 1, EMBEDDING, seed=17 + place) for place in range(segments)]
        ],
    }
    given = [parts.pil_picture(REFERENCE, seed=5 + place) for place in range(pictures)]
    return run(pipe, guided, off=0.0, height=REFERENCE, width=REFERENCE, image=given or None, **words)


CASES = [
    case("ZImagePipeline", "image", build, sample),
    case(
        "ZImagePipeline (guidance for half of the steps)",
        "image",
        build,
        sample,
        lambda: {"cfg_truncation": 0.5},
    ),
    case("ZImageImg2ImgPipeline", "image", build, sample, on_picture),
    case("ZImageInpaintPipeline", "inpainting", build, sample, masked),
    case(
        "ZImageControlNetPipeline",
        "controlnet",
        lambda cls: build(cls, controlnet=controlnet(4)),
        sample,
        control,
    ),
    case(
        "ZImageControlNetInpaintPipeline",
        "controlnet",
        lambda cls: build(
            cls, controlnet=controlnet(9)
        ),  # the control's latent, the mask, the picture's latent
        sample,
        lambda: control() | {"image": parts.picture(), "mask_image": parts.mask()},
    ),
    case("ZImageOmniPipeline", "image", build_omni, sample_omni),
    case("ZImageOmniPipeline (two pictures)", "image", build_omni, sample_omni, lambda: {"pictures": 2}),
]
