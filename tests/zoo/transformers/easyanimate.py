"""EasyAnimate: one list of dual blocks, the first with weights for the text of their own."""

from typing import Any

import torch
from diffusers import AutoencoderKLMagvit, EasyAnimateControlPipeline, EasyAnimateTransformer3DModel

from tests.zoo.parts import EMBEDDING, generator, quiet, seeded
from tests.zoo.random_weights import lively
from tests.zoo.transformers.clips import CHANNELS, FRAMES, SIDE, case
from tests.zoo.transformers.parts import flow, prompts


def build(cls: Any, channels: int = CHANNELS) -> Any:
    model = {
        "num_attention_heads": 2,
        "attention_head_dim": 16,
        "in_channels": channels,
        "out_channels": CHANNELS,
        "num_layers": 5,
        "mmdit_layers": 3,
        "patch_size": 2,
        "time_embed_dim": 8,
        "text_embed_dim": EMBEDDING,
        "resize_inpaint_mask_directly": False,  # that asks the VAE for a setting that it has not got
    }
    vae = {
        "block_out_channels": (8,) * 4,
        "layers_per_block": 1,
        "latent_channels": CHANNELS,
        "norm_num_groups": 2,
        "spatial_group_norm": False,
    }
    return quiet(
        cls(
            transformer=lively(0, lambda: EasyAnimateTransformer3DModel(**model)),
            vae=seeded(1, lambda: AutoencoderKLMagvit(**vae)),
            scheduler=flow(),
            text_encoder=None,
            tokenizer=None,
        )
    )


class Control(EasyAnimateControlPipeline):
    """In diffusers 0.42 its call gives `encode_prompt` an argument that this has not got."""

    def encode_prompt(self, *args: Any, text_encoder_index: int = 0, **kwargs: Any) -> Any:
        return super().encode_prompt(*args, **kwargs)


def build_control(cls: Any) -> Any:
    return build(Control, 3 * CHANNELS)


def video(seed: int = 5) -> torch.Tensor:
    return torch.rand(1, 3, FRAMES, SIDE, SIDE, generator=generator(seed))


def text() -> dict[str, Any]:
    return prompts(mask="attention_mask")


def masked() -> dict[str, Any]:
    """The left half of all frames is to be painted."""
    mask = torch.zeros(1, 1, FRAMES, SIDE, SIDE)
    mask[..., : SIDE // 2] = 1.0
    return text() | {"video": video(), "mask_video": mask}


def controlled() -> dict[str, Any]:
    """Besides the video that controls there may be a picture of reference; without one its channels are 0."""
    return text() | {"control_video": video()}


def referring() -> dict[str, Any]:
    return controlled() | {"ref_image": video(seed=6)[:, :, :1]}


CASES = [
    case("EasyAnimatePipeline", build, text),
    case("EasyAnimateInpaintPipeline", lambda cls: build(cls, 3 * CHANNELS), masked),
    case("EasyAnimateControlPipeline", build_control, controlled),
    case("EasyAnimateControlPipeline (reference)", build_control, referring),
]
