"""python -m mmcache_demos.portraits.against_deepcache: DeepCache's package and mmcache, same pipeline.

Fresh captions are drawn in full, by `DeepCacheSDHelper` (pip install --no-deps DeepCache), by mmcache holding
features as it does, extrapolating them, and by tuned plans that are no dearer; then in fewer steps without
any cache. All from the same noise, in one process. mmcache holding has to draw what DeepCache draws.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from rich.console import Console
from rich.progress import track

from mmcache import Hold, Plan, Taylor, Uniform
from mmcache.api.report import Report
from mmcache.errors import unknown_name
from mmcache.plans.plan_set import load_plan_of
from mmcache.tools.quality.confidence import Mean, mean_of
from mmcache.tools.running.requests import image_requests
from mmcache.tools.tuning.runs import Trials
from mmcache_demos import GUIDANCE_SCALE
from mmcache_demos.devices import Device, miniature_to_measure
from mmcache_demos.portraits.attributes import random_portrait
from mmcache_demos.portraits.captions import caption
from mmcache_demos.portraits.dataset import seeds
from mmcache_demos.portraits.motion.clips import clips
from mmcache_demos.portraits.motion.motions import FRAMES

# By miniature: DeepCache's intervals, and the tuned plans that are no dearer.
TUNED: Mapping[str, Mapping[int, Sequence[str]]] = {
    "text-to-image": {
        2: ("portraits.yaml#2x",),
        3: ("portraits.yaml#2.5x",),
        5: (
            "portraits.yaml#3.5x",
            "portraits.yaml#5x",
        ),
    },
    "text-to-video": {2: ("clips.yaml#2x",), 3: ("clips.yaml#2.5x",), 5: ("clips.yaml#5x",)},
}
HEADER = "| way | fewer U-Net MACs | PSNR to full, dB | above DeepCache, dB |\n|---|---|---|---|"


def captions_of(miniature: str, count: int) -> list[str]:
    """Captions that nothing was trained on and no plan was tuned by."""
    if miniature == "text-to-video":
        return [clip.text for clip in clips("evaluation", count)]
    return [caption(random_portrait(number), number).text for number in seeds("evaluation", count)]


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
        return trials.generate()
    finally:
        helper.disable()


def fewer_macs(report: Report) -> float:
    """How many times fewer multiply-adds the U-Net took."""
    part = report.denoisers[0]
    assert part.full_macs is not None
    assert part.macs is not None
    return part.full_macs / part.macs


def compared(trials: Trials, other: Trials, interval: int, tuned: Sequence[str]) -> Iterator[Line]:
    """All ways at the price of one interval.

    Args:
        trials: for mmcache.
        other: the same pictures from a pipeline of its own, for DeepCache.
        interval: of full steps.
        tuned: files in configs/tuned.
    """
    theirs = by_deepcache(other, interval)
    base = trials.psnr_of(theirs)
    steps = trials.settings["num_inference_steps"]
    held, report = trials.by_plan_with_report(Plan(Uniform(interval), Hold()))
    price = fewer_macs(report)

    def line(way: str, macs: float, pictures: np.ndarray) -> Line:
        decibels = trials.psnr_of(pictures)
        psnr, above = mean_of(decibels.tolist()), mean_of((decibels - base).tolist())
        assert psnr is not None
        assert above is not None
        return Line(way, macs, psnr, above)

    def by_plan(way: str, plan: Plan) -> Line:
        pictures, report = trials.by_plan_with_report(plan)
        return line(f"mmcache, {way}", fewer_macs(report), pictures)

    apart = float(np.abs(held - theirs).max())
    yield line(f"DeepCache, interval {interval}", price, theirs)
    yield line(f"mmcache, Hold (at most {apart:.1e} from DeepCache's pictures)", price, held)
    for order in (1, 2):
        yield by_plan(f"Taylor({order})", Plan(Uniform(interval), Taylor(order)))
    for name in tuned:
        plan = load_plan_of(Path(str(files("mmcache.configs"))) / "tuned" / name)
        yield by_plan(name, plan.for_steps(steps))
    fewer = round(steps / price)
    yield line(f"no cache, {fewer} steps", steps / fewer, trials.in_steps(fewer))


def main(
    miniature: Annotated[str, typer.Option(help="text-to-image or text-to-video.")] = "text-to-image",
    count: Annotated[int, typer.Option(min=2, help="Captions.")] = 32,
    steps: Annotated[int, typer.Option(min=2, help="DDIM steps.")] = 50,
    batch: Annotated[int, typer.Option(min=1)] = 8,
    device: Device = None,
    intervals: Annotated[list[int] | None, typer.Option(help="Of DeepCache.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the figures here, as JSON.")] = None,
) -> None:
    """Measure how far each way is from the full run."""
    if miniature not in TUNED:
        raise typer.BadParameter(unknown_name("miniature", miniature, TUNED))
    wanted = image_requests(captions_of(miniature, count), 1, 1000)
    settings = {"num_inference_steps": steps, "guidance_scale": GUIDANCE_SCALE}
    if miniature == "text-to-video":
        settings["num_frames"] = FRAMES
    trials, other = (
        Trials(miniature_to_measure(miniature, device), wanted, settings, batch) for _ in range(2)
    )
    lines: list[Line] = []
    for interval in track(intervals or TUNED[miniature], "intervals"):
        lines += compared(trials, other, interval, TUNED[miniature].get(interval, ()))
    Console().print("\n".join([HEADER, *(line.row() for line in lines)]), soft_wrap=True, markup=False)
    if out:
        out.write_text(json.dumps(as_dicts(lines), indent=2) + "\n")


def as_dicts(lines: Sequence[Line]) -> list[dict[str, Any]]:
    return [{**one._asdict(), "psnr": one.psnr._asdict(), "above": one.above._asdict()} for one in lines]


if __name__ == "__main__":
    typer.run(main)
