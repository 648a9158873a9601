"""Cosmos 1, 2 and 2.5: one list of blocks; a ControlNet's residuals are added in the blocks."""

from types import SimpleNamespace
from typing import Any

import torch
from diffusers import (
    AutoencoderKLCosmos,
    CosmosControlNetModel,
    CosmosTransformer3DModel,
    EDMEulerScheduler,
)
from diffusers.models.controlnets import controlnet_cosmos
from diffusers.models.transformers import transformer_cosmos
from diffusers.utils import is_torchvision_available
from torch.nn import functional

from tests.zoo.parts import EMBEDDING, quiet, seeded
from tests.zoo.random_weights import lively
from tests.zoo.transformers.clips import (
    CHANNELS,
    FRAMES,
    SIDE,
    case,
    clip,
    clip_and_prompts,
    picture_and_prompts,
    run_on_video,
    unipc_flow,
    wan_vae,
)
from tests.zoo.transformers.image_cosmos import NoSafetyChecker
from tests.zoo.transformers.parts import flow, prompts

if not is_torchvision_available():

    def resize(mask: torch.Tensor, size: list[int], interpolation: str) -> torch.Tensor:
        return functional.interpolate(mask, size, mode=interpolation)

    # All that the models take of it: without it they cannot look at the padding of a picture.
    transforms = SimpleNamespace(
        functional=SimpleNamespace(resize=resize), InterpolationMode=SimpleNamespace(NEAREST="nearest")
    )
    controlnet_cosmos.transforms = transformer_cosmos.transforms = transforms

SHAPE = {
    "in_channels": CHANNELS,
    "out_channels": CHANNELS,
    "num_attention_heads": 2,
    "attention_head_dim": 16,
    "num_layers": 5,
    "mlp_ratio": 2,
    "text_embed_dim": EMBEDDING,
    "adaln_lora_dim": 4,
    "max_size": (16, 8, 8),
    "rope_scale": (2.0, 1.0, 1.0),
}
CONDITIONED = {"in_channels": CHANNELS + 1}  # a mask of the frames that are given
LATER = {"extra_pos_embed_type": None}
PROJECTED = {
    "use_crossattn_projection": True,
    "crossattn_proj_in_channels": EMBEDDING,
    "encoder_hidden_states_channels": EMBEDDING,
}
PICTURE_TOKENS = 3


def cosmos_vae() -> AutoencoderKLCosmos:
    """Videos (3, 8f + 1, 8h, 8w) to latents (4, f + 1, h, w)."""
    shape = {
        "latent_channels": CHANNELS,
        "encoder_block_out_channels": (8, 8, 8, 8),
        "decode_block_out_channels": (8, 8, 8, 8),
        "attention_resolutions": (8,),
        "resolution": SIDE,
        "num_layers": 1,
        "patch_size": 4,
        "latents_mean": None,
        "latents_std": None,
    }
    return seeded(1, lambda: AutoencoderKLCosmos(**shape))


def build(cls: Any, shape: dict[str, Any] | None = None, **parts: Any) -> Any:
    of_all = {
        "transformer": lively(0, lambda: CosmosTransformer3DModel(**SHAPE | (shape or {}))),
        "tokenizer": None,
        "text_encoder": None,
        "safety_checker": NoSafetyChecker(),
    }
    return quiet(cls(**of_all | parts))


def first(cls: Any, **shape: Any) -> Any:
    scheduler = EDMEulerScheduler(
        sigma_min=0.002, sigma_max=80, sigma_data=0.5, sigma_schedule="karras", prediction_type="epsilon"
    )
    return build(cls, shape, vae=cosmos_vae(), scheduler=scheduler)


def second(cls: Any, **shape: Any) -> Any:
    return build(cls, LATER | shape, vae=wan_vae(), scheduler=flow(use_karras_sigmas=True))


def with_frames(make: Any) -> Any:
    return lambda cls: make(cls, **CONDITIONED)


def predict(cls: Any, controlnet: Any = None, **changes: Any) -> Any:
    """2.5: the text is projected, and each frame has a timestep of its own."""
    more = {} if controlnet is None else {"controlnet": controlnet}
    shape = LATER | CONDITIONED | PROJECTED | changes
    return build(cls, shape, vae=wan_vae(), scheduler=unipc_flow(), **more)


def transfer(cls: Any) -> Any:
    """A ControlNet's residual is added in every second block; a picture's tokens are beside the text's."""
    width = SHAPE["num_attention_heads"] * SHAPE["attention_head_dim"]
    shared = {"img_context_dim_in": EMBEDDING, "img_context_dim_out": width}
    padded = CHANNELS + 2  # with the masks of the frames that are given and of the padding
    copied = {
        name: value
        for name, value in (SHAPE | LATER | PROJECTED | shared).items()
        if name not in ("in_channels", "out_channels", "num_layers")
    }
    control = {"n_controlnet_blocks": 3, "in_channels": padded, "latent_channels": padded}
    return predict(
        cls,
        **shared | {"img_context_num_tokens": PICTURE_TOKENS, "controlnet_block_every_n": 2},
        controlnet=lively(2, lambda: CosmosControlNetModel(**copied | control, model_channels=width)),
    )


def text() -> dict[str, Any]:
    return prompts() | {"num_frames": FRAMES}


def two_chunks() -> dict[str, Any]:
    """The second begins with the last frame of the first."""
    return prompts() | {"controls": clip(17), "num_frames_per_chunk": FRAMES}


CASES = [
    case("CosmosTextToWorldPipeline", first, text),
    case("CosmosVideoToWorldPipeline", with_frames(first), picture_and_prompts),
    case("Cosmos2VideoToWorldPipeline", with_frames(second), picture_and_prompts),
    case("Cosmos2_5_PredictBasePipeline", predict, prompts),
    case("Cosmos2_5_PredictBasePipeline (from video)", predict, clip_and_prompts),
    case("Cosmos2_5_TransferPipeline", transfer, two_chunks, run_on_video),
]
