"""python -m mmcache_demos.portraits.cells: what plans hold under every sampler, guidance and number of steps.

A default has to be good where nobody looked. Each cell is a sampler, a guidance scale and a number of steps;
every plan is compared there with the full run from the same noise, and so are runs of fewer steps without a
cache, the alternative that needs no framework.
"""

import itertools
import json
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import diffusers
import numpy as np
import typer
from rich.console import Console

from mmcache import Hold, Plan, Taylor, Uniform
from mmcache.errors import unknown_name
from mmcache.tools.running.requests import image_requests
from mmcache.tools.tuning.runs import Trials
from mmcache_demos import SHIPPED, WHOLE
from mmcache_demos.devices import Device, miniature_to_measure
from mmcache_demos.portraits.against_deepcache import captions_of, fewer_macs
from mmcache_demos.portraits.frontier import FIRST_SEED

SAMPLERS = {
    "DDIM": "DDIMScheduler",
    "Euler": "EulerDiscreteScheduler",
    "Euler a": "EulerAncestralDiscreteScheduler",
    "DPM++ 2M": "DPMSolverMultistepScheduler",
    "UniPC": "UniPCMultistepScheduler",
}
GUIDANCES = (1.0, 3.0, 7.0)
STEPS = (20, 50)
FEWER = 2.5  # times fewer steps without a cache

PLANS = {
    "every 3": Plan(Uniform(3), Taylor(1)),
    "every 3, last 2": Plan(Uniform(3, cooldown=2), Taylor(1)),
    "every 3, held": Plan(Uniform(3), Hold()),
    "every 3, last 2, checked (default)": Plan(Uniform(3, cooldown=2), Taylor(1, checked=True)),
    "every 3, last 2, nothing": Plan(Uniform(3, cooldown=2), Taylor(1, repaid=0.5), "none"),
}


class Cell(NamedTuple):
    """Where plans are compared."""

    sampler: str
    guidance: float
    steps: int


class Figure(NamedTuple):
    """What a plan holds in a cell: times fewer multiply-adds, and mean and worst PSNR in dB."""

    macs: float
    psnr: float
    worst: float


def figures(
    pipe: Any, cell: Cell, captions: list[str], batch: int, call: dict[str, Any]
) -> dict[str, Figure]:
    """All plans in one cell."""
    pipe.scheduler = getattr(diffusers, SAMPLERS[cell.sampler]).from_config(pipe.scheduler.config)
    settings = call | {"guidance_scale": cell.guidance, "num_inference_steps": cell.steps}
    trials = Trials(pipe, image_requests(captions, 1, FIRST_SEED), settings, batch)
    found = {}
    for name, plan in PLANS.items():
        pictures, report = trials.by_plan_with_report(plan)
        found[name] = figure(fewer_macs(report), trials.psnr_of(pictures))
    fewer = round(cell.steps / FEWER)
    found["no cache"] = figure(cell.steps / fewer, trials.psnr_of(trials.in_steps(fewer)))
    return found


def figure(macs: float, decibels: np.ndarray) -> Figure:
    return Figure(macs, float(decibels.mean()), float(decibels.min()))


def main(
    miniature: Annotated[str, typer.Option(help="text-to-image or transformer.")] = WHOLE,
    count: Annotated[int, typer.Option(min=2, help="Captions.")] = 32,
    batch: Annotated[int, typer.Option(min=1)] = 8,
    sampler: Annotated[
        list[str] | None, typer.Option(help=f"Of {', '.join(SAMPLERS)}; default: all.")
    ] = None,
    device: Device = None,
    out: Annotated[Path | None, typer.Option(help="Write the figures here, as JSON.")] = None,
) -> None:
    """Measure every plan in every cell; each figure is PSNR to the full run in dB, mean and worst."""
    for name in sampler or ():
        if name not in SAMPLERS:
            raise typer.BadParameter(unknown_name("sampler", name, SAMPLERS))
    pipe = miniature_to_measure(miniature, device)
    console, captions = Console(), captions_of(WHOLE, count)
    ways = [*PLANS, "no cache"]
    console.print(f"{miniature}, {count} captions", soft_wrap=True)
    console.print("| cell | " + " | ".join(ways) + " |", soft_wrap=True)
    console.print("|---" * (len(ways) + 1) + "|", soft_wrap=True)
    measured = []
    for cell in itertools.starmap(Cell, itertools.product(sampler or SAMPLERS, GUIDANCES, STEPS)):
        found = figures(pipe, cell, captions, batch, dict(SHIPPED[miniature].call))
        cells = (f"{found[way].psnr:.1f} ({found[way].worst:.1f}) {found[way].macs:.2f}x" for way in ways)
        name = f"{cell.sampler}, guidance {cell.guidance:g}, {cell.steps} steps"
        console.print(f"| {name} | " + " | ".join(cells) + " |", soft_wrap=True, markup=False)
        measured.append({"cell": cell._asdict(), "found": {way: one._asdict() for way, one in found.items()}})
    if out:
        out.write_text(json.dumps(measured) + "\n")


if __name__ == "__main__":
    typer.run(main)
