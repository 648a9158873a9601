"""Trains the autoencoder of 128 x 128 pixels: crisp edges, and latents close to those of 64 x 64 pixels.

The closer they are, the less the denoiser of the smaller miniature has to learn anew.
"""

from collections.abc import Callable

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch.nn import functional as F

from mmcache_demos.portraits.autoencoder import to_tensor
from mmcache_demos.portraits.denoiser import place_weights

BATCH = 8
# Crops give more iterations for the same time; whole images teach the attention in the middle their size.
CROP_SHARE = 0.65  # of the iterations
CROP_SIZE = 64
WHOLE_BATCH = 4
NOISE = 0.1  # deviation of what is added to the latents, so that a denoiser's small errors do not show
EDGE_WEIGHT = 0.5
# Strong at first, to make the encoder a copy of the smaller one; then what the details need may change.
CLOSE_SHARE = 0.2
CLOSE_WEIGHTS = (0.5, 0.05)


def autoencoder_loss(
    model: AutoencoderKL, small: AutoencoderKL, pixels: np.ndarray, iterations: int
) -> Callable[[int], torch.Tensor]:
    """The loss of a step, for `training.train`, over random images.

    Args:
        small: the autoencoder of half the size, whose latents those of `model` stay close to.
        pixels: uint8 (N, 128, 128, 3).
        iterations: of the whole training.
    """
    places = place_weights(torch.Size(pixels.shape[1:3]))

    def loss(step: int) -> torch.Tensor:
        wanted, weights = _random_images(pixels, places, step < CROP_SHARE * iterations)
        mean = model.encode(wanted).latent_dist.mean
        drawn = model.decode(mean + NOISE * torch.randn_like(mean)).sample
        with torch.no_grad():
            close = small.encode(F.avg_pool2d(wanted, 2)).latent_dist.mean
        apart = F.mse_loss(mean, close)
        weight = CLOSE_WEIGHTS[step >= CLOSE_SHARE * iterations]
        return reconstruction_loss(drawn, wanted, weights) + weight * apart

    return loss


def _random_images(
    pixels: np.ndarray, places: torch.Tensor, crops: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch of images, or the same random part of each, and the weights of its places."""
    chosen = torch.randint(len(pixels), (BATCH if crops else WHOLE_BATCH,)).sort().values
    if not crops:
        return to_tensor(pixels[chosen.numpy()]).contiguous(memory_format=torch.channels_last), places
    top, left = torch.randint(pixels.shape[1] - CROP_SIZE + 1, (2,)).tolist()
    part = (slice(top, top + CROP_SIZE), slice(left, left + CROP_SIZE))
    wanted = to_tensor(np.stack([pixels[number][part] for number in chosen]))
    return wanted.contiguous(memory_format=torch.channels_last), places[part]


def reconstruction_loss(drawn: torch.Tensor, wanted: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Absolute and squared errors of the colours, and absolute ones of their change from pixel to pixel.

    Args:
        weights: of the places, (H, W).
    """
    error = drawn - wanted
    across = (error[..., 1:] - error[..., :-1]).abs() * weights[:, 1:]
    down = (error[..., 1:, :] - error[..., :-1, :]).abs() * weights[1:]
    colours = (error.abs() + error.square()) * weights
    return colours.mean() + EDGE_WEIGHT * (across.mean() + down.mean())


@torch.no_grad()
def distance(model: AutoencoderKL, small: AutoencoderKL, pixels: np.ndarray) -> float:
    """Root of the mean squared distance to the latents of the smaller autoencoder."""
    wanted = to_tensor(pixels)
    mean = model.encode(wanted).latent_dist.mean
    return float(F.mse_loss(mean, small.encode(F.avg_pool2d(wanted, 2)).latent_dist.mean).sqrt())
