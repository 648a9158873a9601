"""python -m mmcache.demos.portraits.trade_off: what caching the miniature saves, and what it costs.

Fresh captions are drawn in full and under many plans, from the same noise. The control line is fewer
steps without caching. The table stands in the miniature's model card.
"""

import json
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import torch
import typer
from diffusers import DiffusionPipeline, StableDiffusionPipeline
from rich.console import Console
from rich.progress import track

import mmcache
from mmcache.demos import GUIDANCE_SCALE, miniature
from mmcache.demos.portraits.attributes import random_portrait
from mmcache.demos.portraits.captions import caption
from mmcache.demos.portraits.dataset import seeds
from mmcache.measuring.metrics import likeness

INTERVALS = (2, 3, 5)
LONG_INTERVAL = 8
THRESHOLDS = (0.05, 0.1, 0.2)
BRANCHES = (0, 1)
FORECASTS = (mmcache.Hold(), mmcache.Taylor(1), mmcache.Taylor(2))
FEWER_STEPS = (1.5, 2, 3, 5)  # times


class Figures(NamedTuple):
    """One line of the table.

    Attributes:
        plan: what was done.
        macs: denoiser MACs of the full run over those of this one.
        psnr: dB to the full run, mean over the pictures.
        margin: half the 95 % confidence interval of that mean.
        ssim: mean over the pictures.
    """

    plan: str
    macs: float
    psnr: float
    margin: float
    ssim: float

    def row(self) -> str:
        return f"| {self.plan} | {self.macs:.2f}x | {self.psnr:.1f} ± {self.margin:.1f} | {self.ssim:.4f} |"


HEADER = "| plan | fewer MACs | PSNR to full, dB | SSIM |\n|---|---|---|---|"


def plans() -> list[mmcache.Plan]:
    """Every interval with every forecast and branch, a long interval, and policies other than uniform."""
    grid = [
        mmcache.Plan(mmcache.Uniform(interval), forecast, branch)
        for interval in INTERVALS
        for branch in BRANCHES
        for forecast in FORECASTS
    ]
    long = [mmcache.Plan(mmcache.Uniform(LONG_INTERVAL), forecast) for forecast in FORECASTS]
    policies = [
        *(mmcache.Uniform(interval, warmup=2) for interval in INTERVALS),
        *(mmcache.NonUniform(interval) for interval in INTERVALS),
        *(mmcache.Adaptive(threshold) for threshold in THRESHOLDS),
    ]
    return [*grid, *long, *(mmcache.Plan(policy, mmcache.Taylor(1)) for policy in policies)]


def against_full(plan: str, macs: float, pictures: np.ndarray, full: np.ndarray) -> Figures:
    """Compare pictures (N, H, W, 3) in [0, 1] with those of the full run, one by one."""
    each = [likeness(one[None], other[None]) for one, other in zip(pictures, full, strict=True)]
    psnr = np.minimum([one.psnr for one in each], 100.0)  # identical pictures are infinitely close
    ssim = [one.ssim for one in each if one.ssim is not None]
    return Figures(plan, macs, psnr.mean(), 1.96 * psnr.std(ddof=1) / len(psnr) ** 0.5, float(np.mean(ssim)))


def draw(pipe: DiffusionPipeline, texts: list[str], steps: int, guidance_scale: float) -> np.ndarray:
    """Pictures (N, 64, 64, 3) in [0, 1]; picture i always starts from the same noise."""
    generators = [torch.Generator().manual_seed(i) for i in range(len(texts))]
    options = {"num_inference_steps": steps, "guidance_scale": guidance_scale, "output_type": "np"}
    return pipe(texts, generator=generators, **options).images


def main(
    model: Annotated[Path | None, typer.Option(help="Pipeline folder; default: the shipped one.")] = None,
    count: Annotated[int, typer.Option(min=2, help="Captions.")] = 24,
    steps: Annotated[int, typer.Option(min=2, help="Steps of the full run.")] = 50,
    guidance_scale: float = GUIDANCE_SCALE,
    out: Annotated[Path | None, typer.Option(help="Write the figures here, as JSON.")] = None,
) -> None:
    """Measure how far cached pictures are from full ones."""
    pipe = StableDiffusionPipeline.from_pretrained(model or miniature())
    pipe.set_progress_bar_config(disable=True)
    texts = [caption(random_portrait(number), number).text for number in seeds("trade-off", count)]

    full = draw(pipe, texts, steps, guidance_scale)
    figures = []
    for plan in track(plans(), "plans"):
        with mmcache.accelerate(pipe, plan) as session:
            pictures = draw(pipe, texts, steps, guidance_scale)
            part = session.report().denoisers[0]
        figures.append(against_full(str(plan), part.full_macs / part.macs, pictures, full))
    for times in FEWER_STEPS:
        fewer = round(steps / times)
        pictures = draw(pipe, texts, fewer, guidance_scale)
        figures.append(against_full(f"no cache, {fewer} steps", steps / fewer, pictures, full))

    Console().print("\n".join([HEADER, *(line.row() for line in figures)]), soft_wrap=True, markup=False)
    if out:
        settings = {"captions": count, "steps": steps, "guidance_scale": guidance_scale}
        out.write_text(json.dumps(settings | {"figures": [line._asdict() for line in figures]}, indent=2))


if __name__ == "__main__":
    typer.run(main)
