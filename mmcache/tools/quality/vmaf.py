"""VMAF: how close a video is to its reference, as people judge it (libvmaf, by imageio's ffmpeg)."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmcache.errors import MissingExtraError
from mmcache.tools.media.ffmpeg import LOSSLESS, encode, lines_of, require_ffmpeg
from mmcache.tools.media.side_by_side import enlargement

SMALLEST = 17  # pixels: at 16 and below libvmaf crashes
FPS = 8  # of the files that are compared; VMAF looks at frames, not at seconds


class VmafUnavailableError(Exception):
    """VMAF cannot be given; the message says why."""


class Vmaf(NamedTuple):
    """VMAF of each frame, 0 to 100. Equal videos have 97 to 100, the first frame least: nothing moves to it.

    Attributes:
        frames: one value per frame.
        enlarged: by which whole factor the frames were enlarged beforehand, as they are for the eye. VMAF
            is made for large images, and takes differences in small ones for finer than they look.
    """

    frames: tuple[float, ...]
    enlarged: int

    @property
    def mean(self) -> float:
        return sum(self.frames) / len(self.frames)

    @property
    def worst(self) -> float:
        return min(self.frames)


def vmaf(frames: np.ndarray, reference: np.ndarray) -> Vmaf:
    """Compare a video with its reference, frame by frame.

    Args:
        frames: (F, H, W, 3), uint8.
        reference: of the same shape.

    Raises:
        VmafUnavailableError: its tool is not installed, has no libvmaf, or failed; or the frames are too long
            and narrow for it.
    """
    try:
        from ffmpeg_quality_metrics import FfmpegQualityMetrics, FfmpegQualityMetricsError

        ffmpeg = require_ffmpeg()
    except (ImportError, MissingExtraError):
        raise VmafUnavailableError('not installed: pip install "mmcache[video]"') from None
    factor = enlargement(frames.shape[2], frames.shape[1])
    if factor * min(frames.shape[1:3]) < SMALLEST:
        raise VmafUnavailableError(f"the frames are smaller than {SMALLEST} pixels")
    with tempfile.TemporaryDirectory() as folder, quiet_logger("ffmpeg-quality-metrics"):
        try:
            files = [
                str(encode(Path(folder, f"{name}.mkv"), large, FPS, **LOSSLESS))
                for name, video in (("reference", reference), ("cached", frames))
                for large in [video.repeat(factor, axis=1).repeat(factor, axis=2)]
            ]
            tool = FfmpegQualityMetrics(files[0], files[1], ffmpeg_path=ffmpeg, tmp_dir=folder, threads=1)
            found = tool.calculate(["vmaf"])["vmaf"]
        except (FfmpegQualityMetricsError, RuntimeError, OSError, ValueError, KeyError) as error:
            raise VmafUnavailableError(f"its tool failed ({lines_of(str(error))[-1]})") from None
    if len(found) != len(frames):
        raise VmafUnavailableError(f"its tool measured {len(found)} of {len(frames)} frames")
    return Vmaf(tuple(float(frame["vmaf"]) for frame in found), factor)


@contextmanager
def quiet_logger(name: str) -> Iterator[None]:
    """Only errors of a library are logged; it would otherwise say that it found no ffprobe."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
