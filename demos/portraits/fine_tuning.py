"""What fine-tuned miniatures share: the parts of the shipped one, frozen, and what they are trained on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from mmcache_demos import miniature
from mmcache_demos.portraits import autoencoder
from mmcache_demos.portraits.attributes import Portrait
from mmcache_demos.portraits.dataset import pictures
from mmcache_demos.portraits.denoiser import random_captions, tokenized_captions
from mmcache_demos.portraits.models import tokenize


@dataclass(frozen=True)
class Shipped:
    """The parts of the text-to-image miniature. Nothing of them is trained."""

    vae: AutoencoderKL
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    unet: UNet2DConditionModel
    scheduler: DDIMScheduler


def shipped_parts(device: torch.device | str, folder: Path | None = None) -> Shipped:
    """The parts of the text-to-image miniature in fp32, frozen.

    Args:
        folder: of a pipeline with such parts, instead of the shipped one.
    """
    folder = folder or miniature()
    vae = AutoencoderKL.from_pretrained(folder, subfolder="vae")
    text_encoder = CLIPTextModel.from_pretrained(folder, subfolder="text_encoder").float()
    unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet")
    parts: tuple[nn.Module, ...] = (vae, text_encoder, unet)
    for model in parts:
        model.to(device).requires_grad_(False).eval()
    unet.to(memory_format=torch.channels_last)
    return Shipped(
        vae,
        text_encoder,
        CLIPTokenizer.from_pretrained(folder, subfolder="tokenizer"),
        unet,
        DDIMScheduler.from_pretrained(folder, subfolder="scheduler"),
    )


@dataclass(frozen=True)
class TrainingData:
    """Captioned pictures.

    Attributes:
        portraits: what the pictures show.
        pixels: uint8, (N, 128, 128, 3).
        latents: of the pictures, (N, 4, 16, 16).
        captions: token ids, (N, ways to say it, 40).
        no_caption: token ids of the empty prompt, (40,).
    """

    portraits: list[Portrait]
    pixels: np.ndarray
    latents: torch.Tensor
    captions: torch.Tensor
    no_caption: torch.Tensor


def training_data(base: Shipped, count: int, work: Path) -> TrainingData:
    """The first pictures of the split "train", drawn and encoded unless `work` already holds them."""
    data = pictures("train", count, work / "pictures")
    return TrainingData(
        data.portraits,
        data.pixels,
        scaled_latents(base.vae, data.pixels, work),
        tokenized_captions(base.tokenizer, data.portraits),
        tokenize(base.tokenizer, [""])[0],
    )


def scaled_latents(vae: AutoencoderKL, pixels: np.ndarray, work: Path) -> torch.Tensor:
    """The latents of the first training images, (N, 4, 16, 16), encoded unless `work` already holds them."""
    stored = work / f"shipped-latents-{len(pixels)}.safetensors"
    if not stored.exists():
        latents = autoencoder.encode(vae, pixels) * vae.config["scaling_factor"]
        unfinished = stored.with_suffix(".unfinished")
        save_file({"latents": latents.contiguous()}, unfinished)
        unfinished.replace(stored)
    return load_file(stored)["latents"]


@torch.no_grad()
def random_prompts(base: Shipped, data: TrainingData, chosen: torch.Tensor) -> torch.Tensor:
    """Embedded captions of the chosen pictures, (B, 40, 128); of some the empty one."""
    ids = random_captions(data.captions, data.no_caption, chosen)
    return base.text_encoder(ids.to(base.text_encoder.device)).last_hidden_state
