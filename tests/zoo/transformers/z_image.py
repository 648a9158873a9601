"""Z-Image: refiners for the picture and the words, then one stream of both."""

from typing import Any

import torch
from diffusers import ZImageControlNetModel, ZImageTransformer2DModel

from tests.zoo import parts
from tests.zoo.parts import EMBEDDING
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import WORDS, case, control, flow, masked, noise, on_picture, run

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
    return parts.quiet(
        cls(
            scheduler=flow(),
            vae=parts.vae(shift_factor=0.1),
            text_encoder=None,
            tokenizer=None,
            transformer=transformer(),
            **more,
        )
    )


def words() -> dict[str, list[torch.Tensor]]:
    return {
        "prompt_embeds": [noise(WORDS, EMBEDDING, seed=7)],
        "negative_prompt_embeds": [noise(WORDS - 1, EMBEDDING, seed=8)],
    }


def sample(pipe: Any, guided: bool, **changes: Any) -> Any:
    return run(pipe, guided, off=0.0, **words() | changes)


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
]
