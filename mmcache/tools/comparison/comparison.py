"""The result of `compare`: both images, what they cost and how close they are."""

import json
import math
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmcache.api.figures import sum_or_none
from mmcache.api.report import Report
from mmcache.markup import block, image, table
from mmcache.plans.plan import Plan
from mmcache.plans.plan_file import plan_as_dict
from mmcache.tools.comparison.files import CACHED, FULL, REPORT, SHEET
from mmcache.tools.media.output_folder import check_output, write_files
from mmcache.tools.media.side_by_side import Panel, amplified_difference, as_images, png, side_by_side
from mmcache.tools.quality.metrics import Likeness
from mmcache.tools.running.runner import Sampling

DOUBTFUL = 1.25  # times the ratio of MACs: shallow layers are no faster per multiply-add than deep ones


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """A full and a cached run of one pipeline from the same seed.

    Attributes:
        pipeline: name of its class.
        plan: how the cached run was cached.
        settings: the arguments of the calls: prompt, steps, seed, guidance scale, ...
        environment: versions, device, dtype, threads.
        timing: how the seconds were measured.
        full: the run without caching.
        cached: the run with it.
        report: of the cached run, step by step.
        likeness: PSNR and SSIM of the cached images against the full ones, data range 1.
        components: multiply-adds of the full and the cached run by component of the pipeline (text encoder,
            VAE, ...), denoisers and side networks among them; None where they cannot be counted.
        inputs: the input images of the pipeline, for the sheet.
        uncounted: why multiply-adds are None, a sentence per component.
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
    components: Mapping[str, Mapping[str, int | None]] = field(default_factory=dict)
    inputs: tuple[Panel, ...] = ()
    uncounted: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        rows = [
            ("fewer MACs", "unknown" if not self.report.speedup else f"{self.report.speedup:.2f}x"),
            ("faster", f"{self.speed_up:.2f}x ({self.full.seconds:.2f} s to {self.cached.seconds:.2f} s)"),
            *self.likeness_rows(),
        ]
        address = f"data:image/png;base64,{b64encode(png(self.sheet())).decode()}"
        return block(image(address, repr(self)), table(rows), self.report._repr_html_())

    def __repr__(self) -> str:
        fewer = "MACs unknown" if not self.report.speedup else f"{self.report.speedup:.2f}x fewer MACs"
        return (
            f"Comparison({self.pipeline}, {self.plan}: {fewer}, {self.speed_up:.2f}x faster, "
            f"PSNR {psnr_text(self.likeness.psnr)})"
        )

    @property
    def speed_up(self) -> float:
        """Speed-up of the whole call: seconds full over seconds cached."""
        return self.full.seconds / self.cached.seconds

    @property
    def denoiser_speed_up(self) -> float:
        """Speed-up of the denoisers alone."""
        return self.full.denoiser_seconds / self.cached.denoiser_seconds

    @property
    def clock_is_doubtful(self) -> bool:
        """Whether the saved multiply-adds do not explain the speed-up: the machine was busy elsewhere."""
        if not self.macs or not self.full_macs:
            return False
        return self.denoiser_speed_up > DOUBTFUL * self.full_macs / self.macs

    @property
    def identical(self) -> bool:
        """Whether the images are equal bit for bit."""
        return np.array_equal(self.full.images, self.cached.images)

    @property
    def full_steps(self) -> int:
        """Full calls of the denoisers in the cached run."""
        return sum(part.full_steps for part in self.report.denoisers)

    @property
    def cached_steps(self) -> int:
        """Cached calls of the denoisers in the cached run."""
        return sum(part.cached_steps for part in self.report.denoisers)

    @property
    def macs(self) -> int | None:
        """Multiply-adds of denoisers and side networks, cached run; None where they cannot be counted."""
        return self.report.macs

    @property
    def full_macs(self) -> int | None:
        """The same for the full run."""
        return self.report.full_macs

    @property
    def total_macs(self) -> dict[str, int | None]:
        """Multiply-adds of all components together, "full" and "cached"."""
        return {
            kind: sum_or_none([macs[kind] for macs in self.components.values()])
            for kind in ("full", "cached")
        }

    @property
    def bytes_held(self) -> int:
        """Bytes of kept features, each denoiser at its most."""
        return sum(part.bytes_held for part in self.report.parts)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: plain values only, and None for an infinite PSNR."""
        psnr, ssim = self.likeness
        return {
            "pipeline": self.pipeline,
            "settings": self.settings,
            "plan": {"text": str(self.plan), **plan_as_dict(self.plan)},
            "seconds": ratio(self.full.seconds, self.cached.seconds)
            | {"full_each": self.full.seconds_each, "cached_each": self.cached.seconds_each},
            "denoiser_seconds": ratio(self.full.denoiser_seconds, self.cached.denoiser_seconds),
            "macs": ratio(self.full_macs, self.macs),
            "macs_by_component": {
                name: ratio(macs["full"], macs["cached"]) for name, macs in self.components.items()
            },
            "macs_of_all_components": ratio(**self.total_macs),
            "macs_uncounted": list(self.uncounted),
            "steps": {"full": self.full_steps, "cached": self.cached_steps},
            "bytes_held": self.bytes_held,
            "peak_memory": ratio(self.full.peak_memory, self.cached.peak_memory),
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
        """The figures as JSON, without the images."""
        return json.dumps(self.as_dict(), indent=2, allow_nan=False, ensure_ascii=False)

    def titles(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """Titles of the full and the cached images, each in two lines."""
        steps = self.full_steps + self.cached_steps
        gain = f"{self.speed_up:.1f}x"
        if self.clock_is_doubtful and self.macs and self.full_macs:
            gain = f"({self.full_macs / self.macs:.1f}x fewer MACs)"
        below = f"{self.full_steps} full + {self.cached_steps} cached steps, {self.cached.seconds:.2f} s"
        return ("full", f"{steps} full steps, {self.full.seconds:.2f} s"), (f"cached {gain}", below)

    def panels(self) -> list[Panel]:
        """Full, cached, and their amplified difference."""
        difference, scale = amplified_difference(self.cached.stills, self.full.stills)
        alike = f"PSNR {psnr_text(self.likeness.psnr)}"
        if self.likeness.ssim is not None:
            alike += f", SSIM {self.likeness.ssim:.4f}"
        full, cached = self.titles()
        return [
            Panel(*full, as_images(self.full.stills)),
            Panel(*cached, as_images(self.cached.stills)),
            Panel(
                "no difference" if self.identical else f"difference, amplified {scale}x",
                alike,
                as_images(difference),
            ),
        ]

    def sheet(self) -> Image.Image:
        """Inputs, full, cached and difference in one labelled image, a row per image."""
        return side_by_side([*self.inputs, *self.panels()])

    def files(self) -> dict[str, bytes]:
        """The contents of the files that `save` writes, by name."""
        images = {
            SHEET: self.sheet(),
            FULL: as_images(column(self.full.images))[0],
            CACHED: as_images(column(self.cached.images))[0],
        }
        return {name: png(image) for name, image in images.items()} | {REPORT: self.report_file()}

    def report_file(self) -> bytes:
        """What `report.json` holds."""
        return (self.as_json() + "\n").encode()

    def words(self) -> str:
        """1 image 64 wide and 64 high."""
        count, height, width, _ = self.full.images.shape
        return f"{counted(count, 'image')} {width} wide and {height} high"

    def remarks(self) -> list[str]:
        """Sentences to print below the figures."""
        return list(self.uncounted)

    def likeness_rows(self) -> list[tuple[str, str]]:
        """How close the cached result is, as a person reads it."""
        ssim = "too small" if self.likeness.ssim is None else f"{self.likeness.ssim:.4f}"
        return [("PSNR to full", psnr_text(self.likeness.psnr)), ("SSIM to full", ssim)]

    def save(self, folder: str | Path) -> list[Path]:
        """Write side-by-side.png, full.png, cached.png and report.json, all of them or none.

        With several images full.png and cached.png show them from top to bottom. Videos become mp4 files.

        Returns:
            The files.

        Raises:
            OSError: the folder cannot be written to. `check_output(folder)` tells before sampling.
            VideoFileError: ffmpeg could not write a video.
        """
        folder = Path(folder)
        files = self.files()
        check_output(folder, tuple(files))
        return write_files(folder, files)


def ratio(full: float | None, cached: float | None) -> dict[str, float | None]:
    """Both, and how many times less the cached run took."""
    return {"full": full, "cached": cached, "ratio": full / cached if full and cached else None}


def psnr_text(psnr: float) -> str:
    return f"{psnr:.1f} dB" if math.isfinite(psnr) else "infinite (identical)"


def counted(count: int, thing: str) -> str:
    return f"1 {thing}" if count == 1 else f"{count} {thing}s"


def column(images: np.ndarray) -> np.ndarray:
    """(N, H, W, C) to (1, N * H, W, C)."""
    return images.reshape(1, -1, *images.shape[2:])
