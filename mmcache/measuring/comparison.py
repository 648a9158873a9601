"""What `compare` found out: both pictures, what they cost and how close they are."""

import io
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmcache.measuring.metrics import Likeness
from mmcache.measuring.output_folder import check_output, write_files
from mmcache.measuring.pictures import Panel, amplified_difference, as_images, side_by_side
from mmcache.plan import Plan
from mmcache.plan_file import plan_as_dict
from mmcache.report import Report

SHEET, FULL, CACHED, REPORT = "side-by-side.png", "full.png", "cached.png", "report.json"
FILES = (SHEET, FULL, CACHED, REPORT)

DOUBTFUL = 1.25  # times the ratio of MACs: shallow layers are no faster per multiply-add than deep ones


@dataclass(frozen=True, eq=False)
class Sampling:
    """One call of the pipeline.

    Attributes:
        pictures: (N, H, W, C), float, in [0, 1], as the pipeline gave them (not rounded to 8 bits).
        seconds: wall time of the call.
        denoiser_seconds: the part of it that the denoisers took.
    """

    pictures: np.ndarray
    seconds: float
    denoiser_seconds: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """A full and a cached run of one pipeline from the same seed.

    Attributes:
        pipeline: name of its class.
        plan: how the cached run was cached.
        settings: what the pipeline was called with: prompt, steps, seed, guidance scale, ...
        environment: versions, device, dtype, threads.
        timing: how the seconds were taken.
        full: the run without caching.
        cached: the run with it.
        report: what the cached run did, step by step.
        likeness: PSNR and SSIM of the cached pictures against the full ones, data range 1.
    """

    pipeline: str
    plan: Plan
    settings: dict[str, Any]
    environment: dict[str, Any]
    timing: str
    full: Sampling
    cached: Sampling
    report: Report
    likeness: Likeness

    @property
    def speed_up(self) -> float:
        """Of the whole call: seconds full over seconds cached."""
        return self.full.seconds / self.cached.seconds

    @property
    def denoiser_speed_up(self) -> float:
        """Of the denoisers alone."""
        return self.full.denoiser_seconds / self.cached.denoiser_seconds

    @property
    def clock_is_doubtful(self) -> bool:
        """Whether the saved multiply-adds do not explain the speed-up: the machine was busy elsewhere."""
        if not self.macs or not self.full_macs:
            return False
        return self.denoiser_speed_up > DOUBTFUL * self.full_macs / self.macs

    @property
    def identical(self) -> bool:
        """Whether the pictures are equal bit for bit."""
        return np.array_equal(self.full.pictures, self.cached.pictures)

    @property
    def full_steps(self) -> int:
        """Denoiser calls of the cached run that were computed in full."""
        return sum(part.full_steps for part in self.report.denoisers)

    @property
    def cached_steps(self) -> int:
        """Denoiser calls of the cached run that reused a feature."""
        return sum(part.cached_steps for part in self.report.denoisers)

    @property
    def macs(self) -> int | None:
        """Multiply-adds of the denoisers in the cached run; None where they cannot be counted."""
        return total([part.macs for part in self.report.denoisers])

    @property
    def full_macs(self) -> int | None:
        """Multiply-adds of the denoisers in the full run; None where they cannot be counted."""
        return total([part.full_macs for part in self.report.denoisers])

    @property
    def bytes_held(self) -> int:
        """Bytes of kept features, each denoiser at its most."""
        return sum(part.bytes_held for part in self.report.denoisers)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: plain values only, and None for an infinite PSNR."""
        psnr, ssim = self.likeness
        return {
            "pipeline": self.pipeline,
            "settings": self.settings,
            "plan": {"text": str(self.plan), **plan_as_dict(self.plan)},
            "seconds": ratio(self.full.seconds, self.cached.seconds),
            "denoiser_seconds": ratio(self.full.denoiser_seconds, self.cached.denoiser_seconds),
            "macs": ratio(self.full_macs, self.macs),
            "steps": {"full": self.full_steps, "cached": self.cached_steps},
            "bytes_held": self.bytes_held,
            "identical": self.identical,
            "psnr_db": psnr if math.isfinite(psnr) else None,
            "ssim": ssim,
            "data_range": 1.0,
            "timing": self.timing,
            "clock_is_doubtful": self.clock_is_doubtful,
            "environment": self.environment,
            "cached_run": self.report.as_dict(),
        }

    def as_json(self) -> str:
        return json.dumps(self.as_dict(), indent=2, allow_nan=False, ensure_ascii=False)

    def sheet(self) -> Image.Image:
        """Full, cached and their amplified difference in one labelled picture, a row per picture."""
        difference, scale = amplified_difference(self.cached.pictures, self.full.pictures)
        steps = self.full_steps + self.cached_steps
        gain = f"{self.speed_up:.1f}x"
        if self.clock_is_doubtful and self.macs and self.full_macs:
            gain = f"({self.full_macs / self.macs:.1f}x fewer MACs)"
        alike = f"PSNR {psnr_text(self.likeness.psnr)}"
        if self.likeness.ssim is not None:
            alike += f", SSIM {self.likeness.ssim:.4f}"
        return side_by_side(
            [
                Panel(
                    "full", f"{steps} full steps, {self.full.seconds:.2f} s", as_images(self.full.pictures)
                ),
                Panel(
                    f"cached {gain}",
                    f"{self.full_steps} full + {self.cached_steps} cached steps, {self.cached.seconds:.2f} s",
                    as_images(self.cached.pictures),
                ),
                Panel(
                    "no difference" if self.identical else f"difference, amplified {scale}x",
                    alike,
                    as_images(difference),
                ),
            ]
        )

    def save(self, folder: str | Path) -> list[Path]:
        """Write side-by-side.png, full.png, cached.png and report.json, all of them or none.

        With several pictures full.png and cached.png show them from top to bottom.

        Returns:
            The files.

        Raises:
            OSError: the folder cannot be written to. `check_output(folder)` tells before sampling.
        """
        folder = Path(folder)
        check_output(folder, FILES)
        pictures = {
            SHEET: self.sheet(),
            FULL: as_images(column(self.full.pictures))[0],
            CACHED: as_images(column(self.cached.pictures))[0],
        }
        files = {name: png(picture) for name, picture in pictures.items()}
        return write_files(folder, files | {REPORT: (self.as_json() + "\n").encode()})


def total(values: list[int | None]) -> int | None:
    return None if None in values else sum(value for value in values if value is not None)


def ratio(full: float | None, cached: float | None) -> dict[str, float | None]:
    """Both, and how many times less the cached run took."""
    return {"full": full, "cached": cached, "ratio": full / cached if full and cached else None}


def psnr_text(psnr: float) -> str:
    return f"{psnr:.1f} dB" if math.isfinite(psnr) else "infinite (identical)"


def column(pictures: np.ndarray) -> np.ndarray:
    """(N, H, W, C) to (1, N * H, W, C)."""
    return pictures.reshape(1, -1, *pictures.shape[2:])


def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()
