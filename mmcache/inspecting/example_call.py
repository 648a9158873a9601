"""A call of a denoiser by its config alone: the arguments' shapes, on the meta device, as data per class."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

TOKENS = 77  # of CLIP, the longest prompt that most pipelines take
FRAMES = 16  # of AnimateDiff and ModelScope, where the config does not say
LATENT = 64  # of Stable Diffusion at 512 pixels, where the config does not say


@dataclass(frozen=True)
class Size:
    """What a config leaves open.

    Attributes:
        batch: latents in one call; with classifier-free guidance in one batch, two for each picture.
        frames: of a clip; None for as many as the model was made for.
    """

    batch: int = 1
    frames: int | None = None


USUAL = Size()

# The tensors of each class of denoiser, beside the timestep: a letter for each dimension (see `dimensions`).
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
    """The arguments of one call, by name; None for a class whose arguments are not known here."""
    shapes = next((ARGUMENTS[cls.__name__] for cls in type(model).__mro__ if cls.__name__ in ARGUMENTS), None)
    if shapes is None:
        return None
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
        "t": TOKENS,
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
