"""python -m mmcache.demos.portraits.against_deepcache: DeepCache's package and mmcache, same pipeline.

Fresh captions are drawn in full, by `DeepCacheSDHelper` (pip install --no-deps DeepCache), by mmcache holding
features as it does, extrapolating them, and by tuned plans with as many full steps; then in fewer steps
without any cache. All from the same noise, in one process. mmcache holding has to draw what DeepCache draws.
"""

import json
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from diffusers import StableDiffusionPipeline
from rich.console import Console
from rich.progress import track

from mmcache import Hold, Plan, Taylor, Uniform, accelerate
from mmcache.demos import GUIDANCE_SCALE, load_miniature
from mmcache.demos.portraits.attributes import random_portrait
from mmcache.demos.portraits.captions import caption
from mmcache.demos.portraits.dataset import seeds
from mmcache.measuring.batches import wanted_pictures
from mmcache.measuring.confidence import Mean, mean_of
from mmcache.plans.plan_file import load_plan
from mmcache.tuning.runs import Trials

# DeepCache's interval, and the tuned plan with as many full steps, where there is one.
INTERVALS = {2: None, 3: "portraits-2.5x.yaml", 5: None}
HEADER = "| way | fewer U-Net MACs | PSNR to full, dB | above DeepCache, dB |\n|---|---|---|---|"


class Line(NamedTuple):
    """A way of caching.

    Attributes:
        way: what was done.
        macs: how many times fewer the U-Net took.
        psnr: to the full run, over the pictures.
        above: how much more that is than DeepCache's at this price, picture by picture.
    """

    way: str
    macs: float
    psnr: Mean
    above: Mean

    def row(self) -> str:
        ahead = f"{self.above.value:+.1f} ± {self.above.margin:.1f}"
        return f"| {self.way} | {self.macs:.2f}x | {self.psnr.value:.1f} ± {self.psnr.margin:.1f} | {ahead} |"


def by_deepcache(trials: Trials, interval: int) -> np.ndarray:
    """What the package draws. It leaves its wrappers on the modules, so it gets a pipeline of its own."""
    from DeepCache import DeepCacheSDHelper

    helper = DeepCacheSDHelper(pipe=trials.pipe)
    helper.set_params(cache_interval=interval, cache_branch_id=0)
    helper.enable()
    try:
        return trials.draw()
    finally:
        helper.disable()


def fewer_macs(pipe: Any, plan: Plan, steps: int) -> float:
    """How many times fewer multiply-adds the U-Net takes by a plan."""
    with accelerate(pipe, plan) as session:
        pipe("a person", num_inference_steps=steps, guidance_scale=GUIDANCE_SCALE, output_type="latent")
        part = session.report().denoisers[0]
    return part.full_macs / part.macs


def compared(trials: Trials, other: Trials, interval: int, steps: int) -> Iterator[Line]:
    """All ways at the price of one interval.

    Args:
        trials: for mmcache.
        other: the same pictures from a pipeline of its own, for DeepCache.
    """
    theirs = by_deepcache(other, interval)
    base = trials.distance(theirs)
    price = fewer_macs(trials.pipe, Plan(Uniform(interval)), steps)

    def line(way: str, macs: float, decibels: np.ndarray) -> Line:
        psnr, above = mean_of(decibels.tolist()), mean_of((decibels - base).tolist())
        assert psnr is not None
        assert above is not None
        return Line(way, macs, psnr, above)

    held = trials.by_plan(Plan(Uniform(interval), Hold()))
    apart = float(np.abs(held - theirs).max())
    yield line(f"DeepCache, interval {interval}", price, base)
    yield line(f"mmcache, Hold (at most {apart:.1e} from DeepCache's pictures)", price, trials.distance(held))
    for order in (1, 2):
        plan = Plan(Uniform(interval), Taylor(order))
        yield line(f"mmcache, Taylor({order})", price, trials.decibels(plan))
    if name := INTERVALS.get(interval):
        tuned = load_plan(Path(str(files("mmcache.configs"))) / "tuned" / name)
        yield line(f"mmcache, {name}", fewer_macs(trials.pipe, tuned, steps), trials.decibels(tuned))
    fewer = round(steps / price)
    quick = Trials(
        trials.pipe, trials.wanted, {**trials.settings, "num_inference_steps": fewer}, trials.batch
    )
    yield line(f"no cache, {fewer} steps", steps / fewer, trials.distance(quick.draw()))


def main(
    count: Annotated[int, typer.Option(min=2, help="Captions.")] = 32,
    steps: Annotated[int, typer.Option(min=2, help="DDIM steps.")] = 50,
    batch: Annotated[int, typer.Option(min=1)] = 8,
    intervals: Annotated[list[int] | None, typer.Option(help="Of DeepCache.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the figures here, as JSON.")] = None,
) -> None:
    """Measure how far each way is from the full run."""
    texts = [caption(random_portrait(number), number).text for number in seeds("evaluation", count)]
    wanted = wanted_pictures(texts, 1, 1000)
    settings = {"num_inference_steps": steps, "guidance_scale": GUIDANCE_SCALE}
    trials, other = (Trials(quiet(load_miniature()), wanted, settings, batch) for _ in range(2))
    lines: list[Line] = []
    for interval in track(intervals or INTERVALS, "intervals"):
        lines += compared(trials, other, interval, steps)
    Console().print("\n".join([HEADER, *(line.row() for line in lines)]), soft_wrap=True, markup=False)
    if out:
        out.write_text(json.dumps(as_dicts(lines), indent=2) + "\n")


def quiet(pipe: Any) -> StableDiffusionPipeline:
    pipe.set_progress_bar_config(disable=True)
    return pipe


def as_dicts(lines: Sequence[Line]) -> list[dict[str, Any]]:
    return [{**one._asdict(), "psnr": one.psnr._asdict(), "above": one.above._asdict()} for one in lines]


if __name__ == "__main__":
    typer.run(main)
