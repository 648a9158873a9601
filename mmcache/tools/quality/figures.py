"""The figures of quality that a sweep has of each image, under one shape."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mmcache.tools.media.side_by_side import eight_bits
from mmcache.tools.quality.metrics import MS_SSIM_SMALLEST, SSIM_WINDOW, likeness, ms_ssim
from mmcache.tools.quality.vmaf import VmafUnavailableError, vmaf

MOST_PSNR = 100.0  # dB: what identical images count for, so that there is a mean

Measure = Callable[[np.ndarray, np.ndarray, Sequence[str]], Sequence[float | None]]
"""From images (N, H, W, C) or videos (N, F, H, W, C) in [0, 1], those of the full run, and the prompts to
one value per image; None for an image that has none."""


class NotMeasuredError(Exception):
    """A figure cannot be given; the message says why."""


@dataclass(frozen=True)
class Figure:
    """A figure of quality.

    Attributes:
        name: in files.
        title: at the head of a column, with the unit.
        measure: gives it; may raise `NotMeasuredError`.
        digits: that mean something behind the point.
        higher_is_better: False of distances.
        of_full: whether the full run has it too, because it does not compare with the full run.
    """

    name: str
    title: str
    measure: Measure
    digits: int
    higher_is_better: bool = True
    of_full: bool = False


def stills(images: np.ndarray) -> np.ndarray:
    """One image (H, W, C) or video (F, H, W, C) as a stack (1 or F, H, W, C)."""
    return images.reshape(-1, *images.shape[-3:])


def psnr_of_each(images: np.ndarray, reference: np.ndarray, prompts: Sequence[str]) -> list[float]:
    """Of a video from the mean squared error over its frames."""
    pairs = zip(images, reference, strict=True)
    return [min(MOST_PSNR, likeness(stills(one), stills(full)).psnr) for one, full in pairs]


def ssim_of_each(images: np.ndarray, reference: np.ndarray, prompts: Sequence[str]) -> list[float | None]:
    """Of a video the mean over its frames."""
    if min(images.shape[-3:-1]) < SSIM_WINDOW:
        raise NotMeasuredError(f"the images are smaller than {SSIM_WINDOW} pixels")
    pairs = zip(images, reference, strict=True)
    return [likeness(stills(one), stills(full)).ssim for one, full in pairs]


def ms_ssim_of_each(images: np.ndarray, reference: np.ndarray, prompts: Sequence[str]) -> list[float | None]:
    """Of a video the mean over its frames."""
    if min(images.shape[-3:-1]) < MS_SSIM_SMALLEST:
        raise NotMeasuredError(f"the images are smaller than {MS_SSIM_SMALLEST} pixels")
    return [ms_ssim(stills(one), stills(full)) for one, full in zip(images, reference, strict=True)]


def vmaf_of_each(videos: np.ndarray, reference: np.ndarray, prompts: Sequence[str]) -> list[float]:
    """The mean over the frames of each video."""
    try:
        pairs = zip(videos, reference, strict=True)
        return [vmaf(eight_bits(one), eight_bits(full)).mean for one, full in pairs]
    except VmafUnavailableError as reason:
        raise NotMeasuredError(str(reason)) from None


PSNR = Figure("psnr_db", "PSNR to full, dB", psnr_of_each, digits=1)
SSIM = Figure("ssim", "SSIM", ssim_of_each, digits=4)
MS_SSIM = Figure("ms_ssim", "MS-SSIM", ms_ssim_of_each, digits=4)
VMAF = Figure("vmaf", "VMAF", vmaf_of_each, digits=1)
