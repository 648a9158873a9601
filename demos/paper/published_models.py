"""The architectures of published models, as data: denoisers without weights, and the shapes of a call.

Only settings that differ from the defaults of their diffusers class are given. `build` takes no memory (the
meta device), so also the largest can be counted anywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import diffusers
import torch
from torch import nn


@dataclass(frozen=True, eq=False)
class PublishedModel:
    """The denoiser of one published model.

    Attributes:
        name: how tables call it.
        source: where its config is published.
        denoiser: class of diffusers.
        config: its settings.
        arguments: shapes of one call, by argument, the timestep left out; batch 1.
        overlooked: layers that the authors' program did not see in their code: patterns of names, for
            `paper_convention`.
    """

    name: str
    source: str
    denoiser: str
    config: Mapping[str, Any]
    arguments: Mapping[str, Any]
    overlooked: tuple[str, ...] = field(default=())

    def build(self) -> nn.Module:
        """The denoiser on the meta device."""
        with torch.device("meta"):
            model: nn.Module = getattr(diffusers, self.denoiser)(**self.config)
        return model.eval()

    def call(self) -> dict[str, Any]:
        """The arguments of one call, by name, on the meta device."""
        return {"timestep": torch.ones((), device="meta")} | tensors(self.arguments)


def tensors(shapes: Mapping[str, Any]) -> dict[str, Any]:
    """From shapes to tensors; a table within the table stays one."""
    return {
        name: tensors(shape) if isinstance(shape, Mapping) else torch.empty(shape, device="meta")
        for name, shape in shapes.items()
    }


STABLE_DIFFUSION = PublishedModel(
    name="Stable Diffusion v1.5",
    source="huggingface.co/stable-diffusion-v1-5/stable-diffusion-v1-5, unet/config.json",
    denoiser="UNet2DConditionModel",
    config={"sample_size": 64, "cross_attention_dim": 768},
    arguments={"sample": (1, 4, 64, 64), "encoder_hidden_states": (1, 77, 768)},
)

STABLE_DIFFUSION_XL = PublishedModel(
    name="SDXL, 1024 x 1024",
    source="huggingface.co/stabilityai/stable-diffusion-xl-base-1.0, unet/config.json",
    denoiser="UNet2DConditionModel",
    config={
        "sample_size": 128,
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10),
        "attention_head_dim": (5, 10, 20),
        "use_linear_projection": True,
        "cross_attention_dim": 2048,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
    arguments={
        "sample": (1, 4, 128, 128),
        "encoder_hidden_states": (1, 77, 2048),
        "added_cond_kwargs": {"text_embeds": (1, 1280), "time_ids": (1, 6)},
    },
)

STABLE_VIDEO_DIFFUSION_XT = PublishedModel(
    name="SVD-XT, 25 frames of 576 x 1024",
    source="huggingface.co/stabilityai/stable-video-diffusion-img2vid-xt, unet/config.json",
    denoiser="UNetSpatioTemporalConditionModel",
    config={"sample_size": 96, "num_frames": 25, "num_attention_heads": (5, 10, 20, 20)},
    arguments={
        "sample": (1, 25, 8, 72, 128),
        "encoder_hidden_states": (1, 1, 1024),
        "added_time_ids": (1, 3),
    },
)

LDM_4_G = PublishedModel(
    name="LDM-4-G, ImageNet 256 x 256",
    source="github.com/CompVis/latent-diffusion, configs/latent-diffusion/cin256-v2.yaml",
    denoiser="UNet2DConditionModel",
    # The class is one token, from a table that is no part of the denoiser; one head per attention.
    config={
        "sample_size": 64,
        "in_channels": 3,
        "out_channels": 3,
        "block_out_channels": (192, 384, 576, 960),
        "down_block_types": ("DownBlock2D", *3 * ["CrossAttnDownBlock2D"]),
        "up_block_types": (*3 * ["CrossAttnUpBlock2D"], "UpBlock2D"),
        "attention_head_dim": 1,
        "cross_attention_dim": 512,
    },
    arguments={"sample": (1, 3, 64, 64), "encoder_hidden_states": (1, 1, 512)},
    # Their class is GroupNorm32, a subclass of GroupNorm; the norms before attention are of GroupNorm itself.
    overlooked=("*resnets.*.norm?", "conv_norm_out"),
)

# What the models converted from DDPM (arXiv 2006.11239) have in common.
DDPM = {
    "attention_head_dim": None,
    "downsample_padding": 0,
    "flip_sin_to_cos": False,
    "freq_shift": 1,
    "norm_eps": 1e-6,
}

DDPM_CIFAR_10 = PublishedModel(
    name="DDPM, CIFAR-10 32 x 32",
    source="huggingface.co/google/ddpm-cifar10-32, config.json",
    denoiser="UNet2DModel",
    config={
        **DDPM,
        "sample_size": 32,
        "block_out_channels": (128, 256, 256, 256),
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    },
    arguments={"sample": (1, 3, 32, 32)},
)

DDPM_LSUN = PublishedModel(
    name="DDPM, LSUN 256 x 256",
    source="huggingface.co/google/ddpm-bedroom-256, config.json",
    denoiser="UNet2DModel",
    config={
        **DDPM,
        "sample_size": 256,
        "block_out_channels": (128, 128, 256, 256, 512, 512),
        "down_block_types": (*4 * ["DownBlock2D"], "AttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "AttnUpBlock2D", *4 * ["UpBlock2D"]),
    },
    arguments={"sample": (1, 3, 256, 256)},
)
