"""An example call of a U-Net: the latents are as large as its config says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from mmcache.architectures.example_call import Size

TOKENS = 77  # of CLIP, the longest prompt that most pipelines take
FRAMES = 16  # of AnimateDiff and ModelScope, where the config does not say
LATENT = 64  # of Stable Diffusion at 512 pixels, where the config does not say

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


@dataclass(frozen=True)
class UNetCall:
    """A usual call of a class of U-Net, as data.

    Attributes:
        shapes: by argument, without the timestep, `added_cond_kwargs` and `class_labels`: a letter for each
            dimension (`dimensions`).
    """

    shapes: Mapping[str, str]

    def arguments(self, config: Mapping[str, Any], size: Size) -> dict[str, Any]:
        """The arguments by name.

        Raises:
            ValueError: a size in pixels; a U-Net's config does not say what they are to its latents.
        """
        if size.height or size.width:
            raise ValueError(
                "height and width: a U-Net's latents are as large as its config says (sample_size); pixels "
                "can be chosen for transformers only"
            )
        known = dimensions(config, size)

        def tensor(shape: str) -> torch.Tensor:
            return torch.empty([known[letter] for letter in shape.split()], device="meta")

        call: dict[str, Any] = {name: tensor(shape) for name, shape in self.shapes.items()}
        call["timestep"] = torch.ones((), device="meta")
        added = {
            name: tensor(shape)
            for (setting, value), entries in ADDED.items()
            if config.get(setting) == value
            for name, shape in entries.items()
        }
        if added:
            call["added_cond_kwargs"] = added
        if (kind := config.get("class_embed_type")) in CLASS_LABELS:
            call["class_labels"] = tensor(CLASS_LABELS[kind])
        elif config.get("num_class_embeds"):
            call["class_labels"] = torch.zeros(size.batch, dtype=torch.long, device="meta")
        return call

    def stands_for(self, config: Mapping[str, Any], size: Size) -> str:
        """Nothing: the shapes show it."""
        return ""


def dimensions(config: Mapping[str, Any], size: Size) -> dict[str, int]:
    """What each letter of a shape stands for."""
    side = first_of(config, "sample_size") or LATENT
    height, width = side if isinstance(side, list | tuple) else (side, side)
    longest = config.get("motion_max_seq_length") or FRAMES
    frames = size.frames or first_of(config, "num_frames") or min(FRAMES, longest)
    text = first_width(first_of(config, "encoder_hid_dim", "cross_attention_dim") or 0)
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
        "x": first_width(config.get("cross_attention_dim") or 0),
        "p": projected - 6 * ids,
        "q": projected,
        "i": projected // ids,
        **{str(number): number for number in (1, 3, 6)},
    }


def first_of(config: Mapping[str, Any], *names: str) -> Any:
    """The first of these settings that the config has and that is not empty."""
    return next((config.get(name) for name in names if config.get(name)), None)


def first_width(width: Any) -> int:
    """The width of the first block, where a config has one for each."""
    while isinstance(width, list | tuple):
        width = width[0]
    return int(width)
