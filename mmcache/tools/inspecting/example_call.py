"""A call of a denoiser by its config alone: the arguments' shapes, on the meta device, as data per class.

U-Nets are here, since one description fits all of them; those of transformers are in files of their own.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from mmcache.tools.inspecting.audio_calls import AUDIO_CALLS
from mmcache.tools.inspecting.image_calls import IMAGE_CALLS
from mmcache.tools.inspecting.size import USUAL, Size
from mmcache.tools.inspecting.typical import Typical
from mmcache.tools.inspecting.video_calls import VIDEO_CALLS

TOKENS = 77  # of CLIP, the longest prompt that most pipelines take
FRAMES = 16  # of AnimateDiff and ModelScope, where the config does not say
LATENT = 64  # of Stable Diffusion at 512 pixels, where the config does not say


TRANSFORMERS: Mapping[str, Typical] = {**IMAGE_CALLS, **VIDEO_CALLS, **AUDIO_CALLS}

# The tensors of each class of U-Net, beside the timestep: a letter for each dimension (see `dimensions`).
ARGUMENTS: Mapping[str, Mapping[str, str]] = {
    "UNet1DModel": {"sample": "b c w"},
    "UNet2DModel": {"sample": "b c h w"},
    "UNet2DConditionModel": {"sample": "b c h w", "encoder_hidden_states": "b t d"},
    "UNetFlatConditionModel": {"sample": "b c h w", "encoder_hidden_states": "b t d"},
    "UNet3DConditionModel": {"sample": "b c f h w", "encoder_hidden_states": "b t d"},
    "UNetMotionModel": {"sample": "b c f h w", "encoder_hidden_states": "bf t d"},
    "UNetSpatioTemporalConditionModel": {
        "sample": "b f c h w",
        "encoder_hidden_states": "b 1 d",
        "added_time_ids": "b i",
    },
    "I2VGenXLUNet": {
        "sample": "b c f h w",
        "fps": "b",
        "image_latents": "b c f h w",
        "image_embeddings": "b d",
        "encoder_hidden_states": "b t d",
    },
}

# What some configs ask for further, by (setting, value): entries of `added_cond_kwargs`.
ADDED: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("addition_embed_type", "text_time"): {"text_embeds": "b p", "time_ids": "b 6"},
    ("addition_embed_type", "text_image"): {"text_embeds": "b x", "image_embeds": "b x"},
    ("addition_embed_type", "image"): {"image_embeds": "b d"},
    ("addition_embed_type", "image_hint"): {"image_embeds": "b d", "hint": "b 3 H W"},
    ("encoder_hid_dim_type", "text_image_proj"): {"image_embeds": "b x"},
    ("encoder_hid_dim_type", "image_proj"): {"image_embeds": "b d"},
}

CLASS_LABELS = {"timestep": "b", "projection": "b q", "simple_projection": "b q", "identity": "b q"}


def example_call(model: nn.Module, size: Size = USUAL) -> dict[str, Any] | None:
    """The arguments of one call, by name; None for a class whose arguments are not known here.

    Raises:
        ValueError: the class cannot have this size.
    """
    if typical := of_class(model, TRANSFORMERS):
        return typical.call(model.config, size)  # type: ignore[arg-type]
    if shapes := of_class(model, ARGUMENTS):
        return unet_call(model, shapes, size)
    return None


def stands_for(model: nn.Module, size: Size = USUAL) -> str:
    """What a call is for, where its shapes do not show it: a picture of 1024x1024 pixels; "" for a U-Net."""
    typical = of_class(model, TRANSFORMERS)
    return typical.stands_for(model.config, size) if typical else ""  # type: ignore[arg-type]


def of_class(model: nn.Module, table: Mapping[str, Any]) -> Any:
    """What a table has for the model's class, or for a class that it is made from; else None."""
    return next((table[cls.__name__] for cls in type(model).__mro__ if cls.__name__ in table), None)


def unet_call(model: nn.Module, shapes: Mapping[str, str], size: Size) -> dict[str, Any]:
    """The arguments of a U-Net.

    Raises:
        ValueError: a size in pixels, of which its config does not say what they are to its latents.
    """
    if size.height or size.width:
        raise ValueError(
            f"height and width: the latents of a {type(model).__name__} are as large as its config says "
            f"(sample_size); pixels can be chosen for transformers only"
        )
    config: Any = model.config
    known = dimensions(config, size)

    def tensor(shape: str) -> torch.Tensor:
        return torch.empty([known[letter] for letter in shape.split()], device="meta")

    call: dict[str, Any] = {name: tensor(shape) for name, shape in shapes.items()}
    call["timestep"] = torch.ones((), device="meta")
    added = {
        name: tensor(shape)
        for (setting, value), entries in ADDED.items()
        if config.get(setting) == value
        for name, shape in entries.items()
    }
    if added:
        call["added_cond_kwargs"] = added
    if config.get("class_embed_type") in CLASS_LABELS:
        call["class_labels"] = tensor(CLASS_LABELS[config.class_embed_type])
    elif config.get("num_class_embeds"):
        call["class_labels"] = torch.zeros(size.batch, dtype=torch.long, device="meta")
    return call


def dimensions(config: Any, size: Size) -> dict[str, int]:
    """What each letter of a shape stands for."""
    side = first_of(config, "sample_size") or LATENT
    height, width = side if isinstance(side, list | tuple) else (side, side)
    longest = config.get("motion_max_seq_length") or FRAMES
    frames = size.frames or first_of(config, "num_frames") or min(FRAMES, longest)
    text = one(first_of(config, "encoder_hid_dim", "cross_attention_dim") or 0)
    ids = config.get("addition_time_embed_dim") or 1
    projected = config.get("projection_class_embeddings_input_dim") or 0
    return {
        "b": size.batch,
        "c": config.get("in_channels") or 0,
        "h": height,
        "w": width,
        "H": 8 * height,
        "W": 8 * width,
        "f": frames,
        "bf": size.batch * frames,
        "t": size.tokens or TOKENS,
        "d": text,
        "x": one(config.get("cross_attention_dim") or 0),
        "p": projected - 6 * ids,
        "q": projected,
        "i": projected // ids,
        **{str(number): number for number in (1, 3, 6)},
    }


def first_of(config: Any, *names: str) -> Any:
    """The first of these settings that the config has and that is not empty."""
    return next((config.get(name) for name in names if config.get(name)), None)


def one(width: Any) -> int:
    """Where a config has a width for each block, that of the first."""
    while isinstance(width, list | tuple):
        width = width[0]
    return int(width)
