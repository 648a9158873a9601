"""A comparison of videos: what `Comparison` says of images, frame by frame, and as files that play."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from mmcache.tools.comparison.comparison import Comparison, column, counted, psnr_text
from mmcache.tools.comparison.files import REPORT, SHEET, VIDEO_FILES
from mmcache.tools.media.side_by_side import (
    Panel,
    as_images,
    eight_bits,
    enlarged,
    film_strips,
    png,
    side_by_side,
)
from mmcache.tools.media.video_files import MOST_FPS, video_bytes
from mmcache.tools.quality.metrics import Likeness
from mmcache.tools.quality.vmaf import Vmaf

SIDE_BY_SIDE, FULL, CACHED = VIDEO_FILES[:3]

FPS = 8.0  # where the pipeline has no such argument: AnimateDiff's
STRIP_FRAMES = 8  # the most that are shown on the still image


@dataclass(frozen=True, eq=False, repr=False)
class VideoComparison(Comparison):
    """A full and a cached video from the same seed.

    Attributes:
        frames: PSNR and SSIM of each frame, video after video.
        vmaf: VMAF of each frame; None where it could not be measured.
        no_vmaf: why not.
        fps: frames per second of the files.
    """

    frames: Sequence[Likeness] = ()
    vmaf: Vmaf | None = None
    no_vmaf: str = ""
    fps: float = FPS

    def as_dict(self) -> dict[str, Any]:
        """For JSON: what images have, and each frame's figures."""
        psnr = [frame.psnr for frame in self.frames]
        ssim = [frame.ssim for frame in self.frames if frame.ssim is not None]
        vmaf: dict[str, Any] = {"reason": self.no_vmaf}
        if self.vmaf is not None:
            vmaf = {**summary(self.vmaf.frames), "enlarged": self.vmaf.enlarged}
        return super().as_dict() | {
            "frames": {"per_video": self.full.images.shape[1], "fps": self.fps},
            "psnr_db_of_frames": summary(psnr),
            "ssim_of_frames": summary(ssim) if ssim else None,
            "vmaf_of_frames": vmaf,
        }

    def likeness_rows(self) -> list[tuple[str, str]]:
        """PSNR over all frames, as in sweeps; the means of what is defined for a frame; the worst frame."""
        psnr = [frame.psnr for frame in self.frames]
        ssim = [frame.ssim for frame in self.frames if frame.ssim is not None]
        rows = [
            ("PSNR to full", psnr_text(self.likeness.psnr)),
            ("PSNR to full, worst frame", psnr_text(min(psnr))),
            ("SSIM to full, mean of frames", f"{mean(ssim):.4f}" if ssim else "too small"),
        ]
        if ssim:
            rows.append(("SSIM to full, worst frame", f"{min(ssim):.4f}"))
        if self.vmaf is None:
            return [*rows, ("VMAF to full", "not measured")]
        return [
            *rows,
            ("VMAF to full, mean of frames", f"{self.vmaf.mean:.1f}"),
            ("VMAF to full, worst frame", f"{self.vmaf.worst:.1f}"),
        ]

    def remarks(self) -> list[str]:
        """Adds why there is no VMAF, where there is none."""
        return [*super().remarks(), *([f"no VMAF: {self.no_vmaf}"] if self.vmaf is None else [])]

    def words(self) -> str:
        """1 video of 16 frames, 8 per second, 64 wide and 64 high."""
        count, frames, height, width, _ = self.full.images.shape
        length = f"{counted(count, 'video')} of {frames} frames, {self.fps:g} per second"
        return f"{length}, {width} wide and {height} high"

    def sheet(self) -> Image.Image:
        """Frames of the full video, below them those of the cached one, then the difference.

        Where there are several videos, the first is shown.
        """
        frames = self.full.images.shape[1]
        shown = np.linspace(0, frames - 1, min(frames, STRIP_FRAMES)).round().astype(int)
        rows = self.panels()
        return film_strips([row._replace(images=[row.images[index] for index in shown]) for row in rows])

    def moving_sheet(self) -> np.ndarray:
        """Full on the left, cached on the right, a row per video; (F, H, W, 3), uint8."""
        full, cached = self.titles()
        instants = zip(
            self.full.images.swapaxes(0, 1), self.cached.images.swapaxes(0, 1), strict=True
        )  # each (N, H, W, C)
        return np.stack(
            [
                np.asarray(
                    side_by_side(
                        [*self.inputs, Panel(*full, as_images(left)), Panel(*cached, as_images(right))]
                    )
                )
                for left, right in instants
            ]
        )

    def files(self) -> dict[str, bytes]:
        """What `save` writes, by name; several videos stand one above the other."""
        return {
            SIDE_BY_SIDE: video_bytes(self.moving_sheet(), self.fps),
            FULL: video_bytes(for_the_eye(self.full.images), self.fps),
            CACHED: video_bytes(for_the_eye(self.cached.images), self.fps),
            SHEET: png(self.sheet()),
            REPORT: self.report_file(),
        }


def fps_of(settings: Mapping[str, Any]) -> float:
    """The `fps` argument of the call (Stable Video Diffusion has one), where it can be played."""
    fps = settings.get("fps")
    return float(fps) if isinstance(fps, int | float) and 0 < fps <= MOST_FPS else FPS


def for_the_eye(videos: np.ndarray) -> np.ndarray:
    """(N, F, H, W, C) in [0, 1] to one video (F, H, W, 3), uint8, enlarged by a whole factor."""
    instants = (column(instant)[0] for instant in videos.swapaxes(0, 1))
    return np.stack([np.asarray(enlarged(Image.fromarray(eight_bits(instant)))) for instant in instants])


def mean(values: Sequence[float]) -> float:
    """Over the frames that differ; infinite if none does."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else math.inf


def summary(values: Sequence[float]) -> dict[str, Any]:
    """For JSON: an infinite PSNR is None."""
    plain = [value if math.isfinite(value) else None for value in values]
    most, least = mean(values), min(values)
    return {
        "mean": most if math.isfinite(most) else None,
        "worst": least if math.isfinite(least) else None,
        "each": plain,
    }
