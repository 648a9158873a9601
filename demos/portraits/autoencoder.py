"""Trains the autoencoder on pictures, and turns pictures into latents with it."""

from collections.abc import Callable

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch.nn import functional as F

from mmcache_demos.portraits import workers

KL_WEIGHT = 1e-5
# Most of the training sees quarters of pictures: more and cheaper iterations for the same pixels.
# The rest sees whole ones, so that the attention in the middle learns their size.
CROP_SHARE = 0.88
CROP_SIZE = 32
BATCH = 8


def to_tensor(pixels: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
    """uint8 (N, H, W, 3) to float (N, 3, H, W) in [-1, 1]."""
    return torch.tensor(pixels, device=device).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def autoencoder_loss(
    forward: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor, torch.Tensor]],
    pixels: np.ndarray,
    iterations: int,
    device: torch.device | str,
) -> Callable[[int], torch.Tensor]:
    """The loss of a step, for `training.train`, over random pictures.

    Args:
        forward: `encode_and_decode` of the model, perhaps compiled.
        pixels: uint8 (N, 64, 64, 3).
        iterations: of the whole training.
    """

    def loss(step: int) -> torch.Tensor:
        crops = step < CROP_SHARE * iterations
        chosen = torch.randint(len(pixels), (BATCH // workers.count(),)).sort().values
        wanted = to_tensor(pixels[chosen.numpy()], device)
        if crops:
            top, left = torch.randint(pixels.shape[1] - CROP_SIZE + 1, (2,)).tolist()
            wanted = wanted[:, :, top : top + CROP_SIZE, left : left + CROP_SIZE]
        wanted = wanted.contiguous(memory_format=torch.channels_last)
        drawn, mean, logvar = forward(wanted)
        kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        return F.l1_loss(drawn, wanted) + F.mse_loss(drawn, wanted) + KL_WEIGHT * kl

    return loss


def encode_and_decode(model: AutoencoderKL):
    """The forward pass of training: pictures to (reconstructions, latent means, latent log variances)."""

    def forward(wanted: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        latents = model.encode(wanted).latent_dist
        return model.decode(latents.sample()).sample, latents.mean, latents.logvar

    return forward


@torch.no_grad()
def encode(model: AutoencoderKL, pixels: np.ndarray, batch: int = 16) -> torch.Tensor:
    """The means of the latents of many pictures, (N, 4, 16, 16) on the CPU, not yet scaled."""
    parts = []
    for start in range(0, len(pixels), batch):
        wanted = to_tensor(pixels[start : start + batch], model.device)
        parts.append(model.encode(wanted).latent_dist.mean.cpu())
    return torch.cat(parts)


@torch.no_grad()
def reconstruct(model: AutoencoderKL, pixels: np.ndarray, batch: int = 16) -> np.ndarray:
    """Pictures encoded and decoded again, uint8 (N, 64, 64, 3): what the autoencoder alone loses."""
    parts = []
    for start in range(0, len(pixels), batch):
        wanted = to_tensor(pixels[start : start + batch], model.device)
        drawn = model.decode(model.encode(wanted).latent_dist.mean).sample.clamp(-1, 1)
        parts.append(((drawn + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu())
    return torch.cat(parts).numpy()


@torch.no_grad()
def standardize(model: AutoencoderKL, latents: torch.Tensor) -> torch.Tensor:
    """Gives every latent channel mean 0 and deviation 1, folded into the model's 1x1 convolutions.

    The pictures stay the same, and the pipeline needs no other scaling.

    Args:
        model: changed in place.
        latents: of many pictures, (N, 4, 16, 16), as the unchanged model encodes them.

    Returns:
        The latents as the changed model encodes them.
    """
    mean, deviation = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3))
    into, out_of = model.quant_conv, model.post_quant_conv
    if into is None or out_of is None or into.bias is None or out_of.bias is None:
        raise ValueError("the autoencoder must have both 1x1 convolutions, with a bias each")
    channels = len(mean)
    out_of.bias += out_of.weight[:, :, 0, 0] @ mean
    out_of.weight *= deviation[None, :, None, None]
    into.weight[:channels] /= deviation[:, None, None, None]
    into.bias[:channels] = (into.bias[:channels] - mean) / deviation
    into.bias[channels:] -= 2 * deviation.log()  # the log variances
    model.register_to_config(scaling_factor=1.0)
    return (latents - mean[:, None, None]) / deviation[:, None, None]


@torch.no_grad()
def psnr(model: AutoencoderKL, pixels: np.ndarray) -> float:
    """Mean peak signal-to-noise ratio of reconstructed pictures, in dB."""
    wanted = to_tensor(pixels, model.device).contiguous(memory_format=torch.channels_last)
    drawn = model.decode(model.encode(wanted).latent_dist.mean).sample.clamp(-1, 1)
    errors = (drawn - wanted).square().mean(dim=(1, 2, 3)) / 4  # the range [-1, 1] is 2 wide
    return float(-10 * errors.log10().mean())
