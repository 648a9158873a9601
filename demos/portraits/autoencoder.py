"""Trains the autoencoder on images, and turns images into latents with it."""

from collections.abc import Callable

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch.nn import functional as F

from mmcache_demos.portraits import workers
from mmcache_demos.portraits.places import face_weights
from mmcache_demos.portraits.training import Recipe

# Most of the training sees parts of images: more and cheaper iterations for the same pixels.
# The rest sees whole ones, so that the attention in the middle learns their size.
CROP_SHARE = 0.65  # of the iterations
CROP_SIZE = 64
WHOLE_SHARE = 0.5  # of the batch, once the images are whole
# Added to the latents, as a share of their deviation, so that a denoiser's small errors do not show.
NOISE = 0.1
EDGE_WEIGHT = 0.5
ANCHOR_WEIGHT = 0.05
# Of a latent: so small that encoding is the same each time. Pipelines draw from the distribution.
LOG_VARIANCE = -20.0


def to_tensor(pixels: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
    """uint8 (N, H, W, 3) to float (N, 3, H, W) in [-1, 1]."""
    return torch.tensor(pixels, device=device).permute(0, 3, 1, 2).float().div_(127.5).sub_(1)


def autoencoder_loss(
    model: AutoencoderKL,
    pixels: np.ndarray,
    recipe: Recipe,
    device: torch.device | str,
    anchor: AutoencoderKL | None = None,
) -> Callable[[int], torch.Tensor]:
    """The loss of a step, for `training.train`, over random images.

    Args:
        model: the autoencoder that is trained.
        pixels: uint8 (N, 128, 128, 3).
        recipe: of the whole training.
        device: where the model is.
        anchor: another autoencoder, perhaps of smaller images. Latents stay close to its own, so that
            denoisers that were trained on those have little to learn anew.
    """
    places = face_weights(torch.Size(pixels.shape[1:3])).to(device)
    batch = recipe.batch // workers.count()

    def loss(step: int) -> torch.Tensor:
        crops = step < CROP_SHARE * recipe.iterations
        chosen = torch.randint(len(pixels), (batch if crops else max(1, int(WHOLE_SHARE * batch)),))
        whole = to_tensor(pixels[chosen.sort().values.numpy()], device)
        part = _random_part(whole.shape[2]) if crops else (slice(None), slice(None))
        wanted = whole[(..., *part)].contiguous(memory_format=torch.channels_last)
        mean = model.encode(wanted).latent_dist.mean
        noise = NOISE * mean.detach().std() * torch.randn_like(mean)
        value = reconstruction_loss(model.decode(mean + noise).sample.float(), wanted, places[part])
        return value + ANCHOR_WEIGHT * anchored(anchor, mean, wanted) if anchor else value

    return loss


def _random_part(size: int) -> tuple[slice, slice]:
    top, left = torch.randint(size - CROP_SIZE + 1, (2,)).tolist()
    return slice(top, top + CROP_SIZE), slice(left, left + CROP_SIZE)


def reconstruction_loss(
    drawn: torch.Tensor, wanted: torch.Tensor, weights: torch.Tensor, squares: float = 1.0
) -> torch.Tensor:
    """Absolute and squared errors of the colours, and absolute ones of their change from pixel to pixel.

    Args:
        weights: of the places, (H, W).
        squares: weight of the squared errors.
    """
    error = drawn - wanted
    across = (error[..., 1:] - error[..., :-1]).abs() * weights[:, 1:]
    down = (error[..., 1:, :] - error[..., :-1, :]).abs() * weights[1:]
    colours = (error.abs() + squares * error.square()) * weights
    return colours.mean() + EDGE_WEIGHT * (across.mean() + down.mean())


def anchored(anchor: AutoencoderKL, latents: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The mean squared distance of latents to those of the anchor, which may see the images smaller."""
    scale = 2 ** (len(anchor.config["block_out_channels"]) - 1)
    smaller = F.adaptive_avg_pool2d(wanted, (latents.shape[2] * scale, latents.shape[3] * scale))
    with torch.no_grad():
        close = anchor.encode(smaller).latent_dist.mean * anchor.config["scaling_factor"]
    return F.mse_loss(latents.float(), close.float())


@torch.no_grad()
def encode(model: AutoencoderKL, pixels: np.ndarray, batch: int = 64) -> torch.Tensor:
    """The means of the latents of many images, (N, 4, 16, 16) on the CPU, not yet scaled."""
    parts = []
    for start in range(0, len(pixels), batch):
        wanted = to_tensor(pixels[start : start + batch], model.device)
        parts.append(model.encode(wanted).latent_dist.mean.cpu())
    return torch.cat(parts)


@torch.no_grad()
def reconstruct(model: AutoencoderKL, pixels: np.ndarray, batch: int = 16) -> np.ndarray:
    """Images encoded and decoded again, uint8 (N, 128, 128, 3): what the autoencoder alone loses."""
    parts = []
    for start in range(0, len(pixels), batch):
        wanted = to_tensor(pixels[start : start + batch], model.device)
        drawn = model.decode(model.encode(wanted).latent_dist.mean).sample.clamp(-1, 1)
        parts.append(((drawn + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu())
    return torch.cat(parts).numpy()


@torch.no_grad()
def standardize(model: AutoencoderKL, latents: torch.Tensor) -> torch.Tensor:
    """Gives every latent channel mean 0 and deviation 1, folded into the model's 1x1 convolutions.

    The images stay the same, and the pipeline needs no other scaling. The variance with which an image
    is encoded, which was not trained, becomes next to none.

    Args:
        model: changed in place.
        latents: of many images, (N, 4, 16, 16), as the unchanged model encodes them.

    Returns:
        The latents as the changed model encodes them.

    Raises:
        ValueError: the model lacks one of the convolutions, or a bias of theirs.
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
    into.weight[channels:] = 0
    into.bias[channels:] = LOG_VARIANCE
    model.register_to_config(scaling_factor=1.0)
    return (latents - mean[:, None, None]) / deviation[:, None, None]


@torch.no_grad()
def psnr(model: AutoencoderKL, pixels: np.ndarray, batch: int = 64) -> float:
    """Mean peak signal-to-noise ratio of reconstructed images, in dB."""
    decibels = []
    for start in range(0, len(pixels), batch):
        wanted = pixels[start : start + batch]
        error = (reconstruct(model, wanted, batch).astype(np.float32) - wanted) / 255
        decibels += (-10 * np.log10(np.square(error).mean(axis=(1, 2, 3)))).tolist()
    return float(np.mean(decibels))
