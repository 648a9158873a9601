"""A comparison of clips: what `Comparison` says of pictures, frame by frame, and as files that play."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from mmcache.tools.comparison.comparison import REPORT, SHEET, Comparison, column, counted, png, psnr_text
from mmcache.tools.media.side_by_side import Panel, as_images, eight_bits, enlarged, film_strips, side_by_side
from mmcache.tools.media.video_files import MOST_FPS, video_bytes
from mmcache.tools.quality.metrics import Likeness
from mmcache.tools.quality.vmaf import Vmaf

SIDE_BY_SIDE, FULL, CACHED = "side-by-side.mp4", "full.mp4", "cached.mp4"
CLIP_FILES = (SIDE_BY_SIDE, FULL, CACHED, SHEET, REPORT)

FPS = 8.0  # where the pipeline is not told one: AnimateDiff's
STRIP_FRAMES = 8  # the most that are shown on the still picture


@dataclass(frozen=True, eq=False)
class ClipComparison(Comparison):
    """A full and a cached clip from the same seed.

    Attributes:
        frames: PSNR and SSIM of each frame, clip after clip.
        vmaf: VMAF of each frame; None where it could not be measured.
        no_vmaf: why not.
        fps: frames per second of the files.
    """

    frames: Sequence[Likeness] = ()
    vmaf: Vmaf | None = None
    no_vmaf: str = ""
    fps: float = FPS

    def as_dict(self) -> dict[str, Any]:
        """For JSON: what pictures have, and each frame's figures."""
        psnr = [frame.psnr for frame in self.frames]
        ssim = [frame.ssim for frame in self.frames if frame.ssim is not None]
        vmaf: dict[str, Any] = {"reason": self.no_vmaf}
        if self.vmaf is not None:
            vmaf = {**summary(self.vmaf.frames), "enlarged": self.vmaf.enlarged}
        return super().as_dict() | {
            "frames": {"per_clip": self.full.pictures.shape[1], "fps": self.fps},
            "psnr_db_of_frames": summary(psnr),
            "ssim_of_frames": summary(ssim) if ssim else None,
            "vmaf_of_frames": vmaf,
        }

    def likeness_rows(self) -> list[tuple[str, str]]:
        """The mean over the frames, and the frame that is farthest from the full run's."""
        psnr = [frame.psnr for frame in self.frames]
        ssim = [frame.ssim for frame in self.frames if frame.ssim is not None]
        rows = [
            ("PSNR to full, mean of frames", psnr_text(mean(psnr))),
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
        """Why there is no VMAF, where there is none."""
        return [f"no VMAF: {self.no_vmaf}"] if self.vmaf is None else []

    def words(self) -> str:
        """1 clip of 16 frames, 8 per second, 64 wide and 64 high."""
        count, frames, height, width, _ = self.full.pictures.shape
        length = f"{counted(count, 'clip')} of {frames} frames, {self.fps:g} per second"
        return f"{length}, {width} wide and {height} high"

    def sheet(self) -> Image.Image:
        """Frames of the full clip, below them those of the cached one, then the difference.

        Where there are several clips, the first is shown.
        """
        frames = self.full.pictures.shape[1]
        shown = np.linspace(0, frames - 1, min(frames, STRIP_FRAMES)).round().astype(int)
        rows = self.panels()
        return film_strips([row._replace(pictures=[row.pictures[index] for index in shown]) for row in rows])

    def moving_sheet(self) -> np.ndarray:
        """Full on the left, cached on the right, a row per clip; (F, H, W, 3), uint8."""
        full, cached = self.titles()
        moments = zip(
            self.full.pictures.swapaxes(0, 1), self.cached.pictures.swapaxes(0, 1), strict=True
        )  # each (N, H, W, C)
        return np.stack(
            [
                np.asarray(
                    side_by_side(
                        [*self.inputs, Panel(*full, as_images(left)), Panel(*cached, as_images(right))]
                    )
                )
                for left, right in moments
            ]
        )

    def files(self) -> dict[str, bytes]:
        """What `save` writes, by name; several clips stand one above the other."""
        return {
            SIDE_BY_SIDE: video_bytes(self.moving_sheet(), self.fps),
            FULL: video_bytes(for_the_eye(self.full.pictures), self.fps),
            CACHED: video_bytes(for_the_eye(self.cached.pictures), self.fps),
            SHEET: png(self.sheet()),
            REPORT: self.report_file(),
        }


def fps_of(settings: Mapping[str, Any]) -> float:
    """What the pipeline was told (Stable Video Diffusion is), where it can be played."""
    fps = settings.get("fps")
    return float(fps) if isinstance(fps, int | float) and 0 < fps <= MOST_FPS else FPS


def for_the_eye(clips: np.ndarray) -> np.ndarray:
    """(N, F, H, W, C) in [0, 1] to one clip (F, H, W, 3), uint8, enlarged by a whole factor."""
    moments = (column(moment)[0] for moment in clips.swapaxes(0, 1))
    return np.stack([np.asarray(enlarged(Image.fromarray(eight_bits(moment)))) for moment in moments])


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
