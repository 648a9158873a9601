"""python -m mmcache_demos.portraits.frontier: what plans of several costs hold, and fewer steps hold.

Images or clips of fresh captions are generated in full, by evenly spaced plans at branch 0, by evenly spaced
ones that run nothing on cached steps, by plans that `mmcache.calibrate` makes of eight other captions, and in
fewer steps without a cache. All from the same noise. The table says how close each comes to the full run.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import diffusers
import numpy as np
import typer
from rich.console import Console

import mmcache
from mmcache import Plan, Taylor, Uniform
from mmcache.plans.presets import IMAGE, find_plan, presets
from mmcache.tools.quality.confidence import Mean, mean_of
from mmcache.tools.running.requests import image_requests
from mmcache.tools.tuning.runs import Trials
from mmcache_demos import GUIDANCE_SCALE, SHIPPED, WHOLE
from mmcache_demos.devices import Device, miniature_to_measure
from mmcache_demos.portraits.against_deepcache import captions_of, fewer_macs
from mmcache_demos.portraits.motion.motions import FRAMES
from mmcache_demos.prompts import CLIPS, prompts_for

INTERVALS = (2, 3, 5, 8)
COSTS = (2.0, 2.5, 3.5, 5.0, 7.0)
FAMILIES = {WHOLE: IMAGE, "transformer": "image-transformer", CLIPS: "video"}  # of presets, by miniature
FIRST_SEED = 1000  # of the noise of the captions that judge
HEADER = "| plan | fewer MACs | PSNR to full, dB | median | worst |\n|---|---|---|---|---|"


class Line(NamedTuple):
    """A way to save, and what it holds.

    Attributes:
        way: what was done.
        macs: how many times fewer multiply-adds the denoiser took.
        psnr: to the full run, in dB, over the images or clips.
        median: of them.
        worst: of them.
    """

    way: str
    macs: float
    psnr: Mean
    median: float
    worst: float

    def row(self) -> str:
        figure = f"{self.psnr.value:.1f} ± {self.psnr.margin:.1f}"
        return f"| {self.way} | {self.macs:.2f}x | {figure} | {self.median:.1f} | {self.worst:.1f} |"


def line(way: str, macs: float, decibels: np.ndarray) -> Line:
    psnr = mean_of(decibels.tolist())
    assert psnr is not None
    return Line(way, macs, psnr, float(np.median(decibels)), float(decibels.min()))


def plans(intervals: Sequence[int], family: str) -> Iterator[tuple[str, Plan]]:
    """What needs no calibration, the presets of a family first."""
    for name in presets(family):
        yield f"`{name}`", find_plan(name, family)
    for interval in intervals:
        yield f"every {interval}, branch 0", Plan(Uniform(interval), Taylor(1))
        if interval < max(INTERVALS):
            last = Uniform(interval, cooldown=2)
            yield f"every {interval} and the last two, nothing", Plan(last, Taylor(1, repaid=0.5), "none")


def lines(trials: Trials, calibrated: dict[str, Plan], family: str) -> Iterator[Line]:
    """All ways, one after another."""
    for way, plan in (
        *plans(INTERVALS, family),
        *((f"calibrated, {cost}", plan) for cost, plan in calibrated.items()),
    ):
        pictures, report = trials.by_plan_with_report(plan)
        yield line(way, fewer_macs(report), trials.psnr_of(pictures))
    steps = trials.settings["num_inference_steps"]
    for cost in COSTS:
        fewer = round(steps / cost)
        yield line(f"no cache, {fewer} steps", steps / fewer, trials.psnr_of(trials.in_steps(fewer)))


def main(
    miniature: Annotated[str, typer.Option(help="text-to-image, transformer or text-to-video.")] = WHOLE,
    count: Annotated[int, typer.Option(min=2, help="Captions that judge.")] = 32,
    calibration: Annotated[int, typer.Option(min=2, help="Other captions, to calibrate with.")] = 8,
    steps: Annotated[int, typer.Option(min=8)] = 50,
    guidance_scale: float = GUIDANCE_SCALE,
    scheduler: Annotated[str, typer.Option(help="A sampler's class in diffusers.")] = "DDIMScheduler",
    batch: Annotated[int, typer.Option(min=1)] = 8,
    device: Device = None,
    out: Annotated[Path | None, typer.Option(help="Write the figures here, as JSON.")] = None,
    save: Annotated[Path | None, typer.Option(help="Write the calibrated plans here.")] = None,
) -> None:
    """Measure the front of one miniature."""
    pipe = miniature_to_measure(miniature, device)
    pipe.scheduler = getattr(diffusers, scheduler).from_config(pipe.scheduler.config)
    call: dict[str, Any] = {"guidance_scale": guidance_scale, **SHIPPED[miniature].call}
    if miniature == CLIPS:
        call["num_frames"] = FRAMES
    others = prompts_for(miniature, calibration, fallback="").prompts
    found = mmcache.calibrate(pipe, others, costs=COSTS, steps=steps, batch=batch, **call)
    if save:
        found.save(save)
    wanted = image_requests(captions_of(miniature, count), 1, FIRST_SEED)
    trials = Trials(pipe, wanted, call | {"num_inference_steps": steps}, batch)
    measured = list(lines(trials, dict(found.plans), FAMILIES[miniature]))
    rows = [one.row() for one in sorted(measured, key=lambda one: one.macs)]
    title = f"{miniature}, {scheduler}, {steps} steps, guidance {guidance_scale:g}, {count} captions:\n"
    Console().print("\n".join([title, HEADER, *rows]), soft_wrap=True, markup=False)
    if out:
        out.write_text(json.dumps([one._asdict() | {"psnr": one.psnr._asdict()} for one in measured]) + "\n")


if __name__ == "__main__":
    typer.run(main)
