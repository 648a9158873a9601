"""The autoencoder of 128 x 128 pixels, begun from that of 64 x 64 pixels."""

import torch
from diffusers import AutoencoderKL

from mmcache_demos import miniature
from mmcache_demos.portraits.denoiser import place_weights as small_place_weights
from mmcache_demos.portraits.models import LATENT_CHANNELS

SIZE = 128
# Top, bottom, left and right in shares of the image, on the borders of latents' places.
EYES = (4 / 16, 8 / 16, 4 / 16, 12 / 16)
MOUTH = (8 / 16, 10 / 16, 6 / 16, 10 / 16)


def small_autoencoder() -> AutoencoderKL:
    """The shipped autoencoder of 64 x 64 pixels, frozen."""
    return AutoencoderKL.from_pretrained(miniature(), subfolder="vae").requires_grad_(False).eval()


def autoencoder() -> AutoencoderKL:
    """Images (N, 3, 128, 128) to latents (N, 4, 16, 16) and back; cheap where there are many pixels."""
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 24, 48, 64),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=SIZE,
        scaling_factor=1.0,  # its latents are close to standardized ones
    )


@torch.no_grad()
def begin_from(large: AutoencoderKL, small: AutoencoderKL) -> None:
    """Copies the weights of `small` into those of `large` that work at the same size of latent and fit.

    The encoder's blocks are counted from the pixels, so they move on by one; the decoder's do not.
    """
    weights = large.state_dict()
    for name, tensor in small.state_dict().items():
        ours = _moved(name)
        if ours in weights and weights[ours].shape == tensor.shape:
            weights[ours].copy_(tensor)


def _moved(name: str) -> str:
    """The name in the larger autoencoder of a parameter of the smaller."""
    parts = name.split(".")
    if parts[:2] == ["encoder", "down_blocks"]:
        parts[2] = str(int(parts[2]) + 1)
    return ".".join(parts)


def place_weights(size: torch.Size) -> torch.Tensor:
    """Weight of each place of a latent, with mean 1: eyes and mouth count most, then the rest of the face.

    They carry glasses and expression, which a denoiser learns last.
    """
    height, width = size
    weights = small_place_weights(size)
    for (top, bottom, left, right), more in ((EYES, 2), (MOUTH, 4)):
        rows = slice(round(top * height), round(bottom * height))
        weights[rows, round(left * width) : round(right * width)] *= more
    return weights / weights.mean()
