"""python -m mmcache_demos.portraits.trade_off: what caching the miniature saves, and what it costs.

Fresh captions are drawn in full and under many plans, from the same noise, by the same means as `mmcache
sweep`. The control line is fewer steps without caching. The table stands in the miniature's model card.
"""

from pathlib import Path
from typing import Annotated

import typer
from diffusers import DiffusionPipeline
from rich.console import Console

import mmcache
from mmcache.tools.sweeping.table import markdown
from mmcache_demos import GUIDANCE_SCALE, SHIPPED, WHOLE, load_miniature
from mmcache_demos.portraits.attribute_accuracy import accuracy_figure, fresh_captions

INTERVALS = (2, 3, 5)
LONG_INTERVAL = 8
THRESHOLDS = (0.05, 0.1, 0.2)
BRANCHES = (0, 1)
FORECASTS = (mmcache.Hold(), mmcache.Taylor(1), mmcache.Taylor(2))


def plans() -> list[mmcache.Plan]:
    """Beside the grid: a long interval, and policies other than uniform."""
    long = [mmcache.Plan(mmcache.Uniform(LONG_INTERVAL), forecast) for forecast in FORECASTS]
    policies = [
        *(mmcache.Uniform(interval, warmup=2) for interval in INTERVALS),
        *(mmcache.NonUniform(interval) for interval in INTERVALS),
        *(mmcache.Adaptive(threshold) for threshold in THRESHOLDS),
    ]
    return [*long, *(mmcache.Plan(policy, mmcache.Taylor(1)) for policy in policies)]


def main(
    miniature: Annotated[str, typer.Option(help="text-to-image or transformer.")] = WHOLE,
    model: Annotated[Path | None, typer.Option(help="Pipeline folder; default: the shipped one.")] = None,
    count: Annotated[int, typer.Option(min=2, help="Captions.")] = 24,
    steps: Annotated[int, typer.Option(min=2, help="Steps of the full run.")] = 50,
    guidance_scale: float = GUIDANCE_SCALE,
    out: Annotated[Path, typer.Option(help="Folder for tables and plots.")] = Path("runs/trade-off"),
) -> None:
    """Measure how far cached pictures are from full ones; a run that was stopped goes on."""
    asked = fresh_captions(count)
    found = mmcache.sweep(
        DiffusionPipeline.from_pretrained(model) if model else load_miniature(miniature),
        [one.caption.text for one in asked],
        out,
        steps=steps,
        intervals=INTERVALS,
        branches=BRANCHES,
        forecasts=FORECASTS,
        policies=(mmcache.Uniform,),
        plans=plans(),
        figures=[accuracy_figure(asked)],
        guidance_scale=guidance_scale,
        batch=count,  # so that Adaptive decides for all pictures at once
        progress=True,
        **SHIPPED[miniature].call,
    )
    Console().print(markdown(found), soft_wrap=True, markup=False)


if __name__ == "__main__":
    typer.run(main)
