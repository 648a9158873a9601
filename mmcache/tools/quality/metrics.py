"""How close a cached image is to the full one: PSNR, SSIM and MS-SSIM."""

from typing import NamedTuple

import numpy as np
import torch

from mmcache.errors import MissingExtraError

SSIM_WINDOW = 11  # pixels: the Gaussian window of Wang et al. 2004; smaller images have no SSIM
MS_SSIM_SMALLEST = 16 * SSIM_WINDOW  # pixels: halved four times, the window has to fit still


class Likeness(NamedTuple):
    """How close two stacks of images are.

    Attributes:
        psnr: peak signal-to-noise ratio in dB, from the mean squared error over all images; infinite if
            they are identical.
        ssim: structural similarity (Wang et al. 2004), mean over the images, 1 if they are identical;
            None for images of less than 11 pixels.
    """

    psnr: float
    ssim: float | None


def require_torchmetrics() -> None:
    """Find out beforehand whether `likeness` can work.

    Raises:
        MissingExtraError: torchmetrics is not installed.
    """
    try:
        import torchmetrics.functional.image  # noqa: F401
    except ImportError:
        raise MissingExtraError(
            'PSNR and SSIM need torchmetrics, which is not installed: pip install "mmcache[metrics]"'
        ) from None


def likeness(images: np.ndarray, reference: np.ndarray) -> Likeness:
    """Compare images with their references.

    Args:
        images: (N, H, W, C), values in [0, 1]; the data range of both figures is 1.
        reference: of the same shape.

    Raises:
        MissingExtraError: torchmetrics is not installed.
        ValueError: the shapes differ.
    """
    require_torchmetrics()
    from torchmetrics.functional.image import (
        peak_signal_noise_ratio,
        structural_similarity_index_measure,
    )

    if images.shape != reference.shape:
        raise ValueError(f"images of shape {images.shape} cannot be compared with {reference.shape}")
    ours, theirs = channels_first(images), channels_first(reference)
    psnr = peak_signal_noise_ratio(ours, theirs, data_range=1.0)
    ssim = None
    if min(ours.shape[-2:]) >= SSIM_WINDOW:
        ssim = float(structural_similarity_index_measure(ours, theirs, data_range=1.0))  # type: ignore[arg-type]
    return Likeness(float(psnr), ssim)


def channels_first(images: np.ndarray) -> torch.Tensor:
    """(N, H, W, C) to (N, C, H, W), in float64: the error of nearly equal images is a tiny number."""
    return torch.from_numpy(np.asarray(images)).permute(0, 3, 1, 2).double()


def likeness_by_frame(frames: np.ndarray, reference: np.ndarray) -> list[Likeness]:
    """Compare each image of a stack (N, H, W, C) with its own reference."""
    pairs = zip(frames, reference, strict=True)
    return [likeness(frame[None], original[None]) for frame, original in pairs]


def ms_ssim(images: np.ndarray, reference: np.ndarray) -> float | None:
    """Multi-scale structural similarity (Wang, Simoncelli and Bovik 2003), mean over the images.

    Args:
        images: (N, H, W, C), values in [0, 1].
        reference: of the same shape.

    Returns:
        1 for identical images; None for images of less than 176 pixels, which have no fifth scale.

    Raises:
        MissingExtraError: torchmetrics is not installed.
    """
    require_torchmetrics()
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    ours, theirs = channels_first(images), channels_first(reference)
    if min(ours.shape[-2:]) < MS_SSIM_SMALLEST:
        return None
    return float(multiscale_structural_similarity_index_measure(ours, theirs, data_range=1.0))
