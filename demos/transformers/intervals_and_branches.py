"""python -m mmcache_demos.transformers.intervals_and_branches: what plans of transformers save, and cost.

An image, a video and an audio transformer are run in full and at every interval and branch, from the same
noise. The multiply-adds of a run are told by the report, which asks the cut, and counted from the layers that
were seen to run. The plot shows how far the latents are from those of the full run.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track

import mmcache
from mmcache.tools.media.plots import empty_canvas, png_bytes, require_matplotlib
from mmcache.tools.quality.latent_error import latent_error
from mmcache_demos.transformers.bench import Bench
from mmcache_demos.transformers.left_out import CallWatch
from mmcache_demos.transformers.subjects import AUDIO, PORTRAITS, WAN

SUBJECTS = (PORTRAITS, WAN, AUDIO)
INTERVALS = (2, 3, 5, 8)
FORECASTS = (mmcache.Hold(), mmcache.Taylor(1))
COLOURS = ("#4263eb", "#12b886", "#f59f00", "#e64980")  # by branch
DASHES = ("--", "-")  # by forecast


@dataclass(frozen=True)
class Point:
    """One plan on one subject.

    Attributes:
        subject: its name.
        kept: the share of the multiply-adds of a full call that a cached one takes.
        told: multiply-adds of the run, as the report has them.
        counted: from the layers that ran.
        full: of the full run.
        error: of the latents, relative: norm over norm, the mean over pictures.
    """

    subject: str
    branch: int
    interval: int
    forecast: mmcache.Forecast
    kept: float
    told: int
    counted: int
    full: int
    error: float


def points(bench: Bench, intervals: Sequence[int]) -> Iterator[Point]:
    """All plans on one subject."""
    pipe = bench.subject.make()
    branches = branches_of(pipe)
    plans = [
        (interval, branch, forecast)
        for branch in range(branches)
        for interval in intervals
        for forecast in FORECASTS
    ]
    for interval, branch, forecast in track(plans, bench.subject.name):
        plan = mmcache.Plan(mmcache.Uniform(interval), forecast, branch)
        with mmcache.accelerate(pipe, plan) as session, CallWatch(pipe.transformer)() as watch:
            latents = bench.subject.draw(pipe)
            report = session.report()
        macs = [bench.price.macs(left_out) for left_out in watch.calls]
        yield Point(
            bench.subject.name,
            branch,
            interval,
            forecast,
            min(macs) / bench.price.full,
            report.macs or 0,
            sum(macs),
            bench.full_macs,
            float(latent_error(latents.numpy(), bench.full.numpy()).relative.mean()),
        )


def branches_of(pipe: Any) -> int:
    with mmcache.accelerate(pipe) as session:
        scheduler = session.denoisers["transformer"]
        return scheduler.adapter.branches(scheduler.model)


def table(found: Sequence[Point], intervals: Sequence[int]) -> str:
    """What is saved, and at what error: a row for each subject and branch."""
    heads = [f"full every {interval}: fewer MACs, error" for interval in intervals]
    lines = [
        "| pipeline | branch | a cached call | " + " | ".join(heads) + " |",
        "|---|---|---|" + "---|" * len(intervals),
    ]
    for subject in dict.fromkeys(point.subject for point in found):
        own = [point for point in found if point.subject == subject and point.forecast == FORECASTS[-1]]
        for branch in sorted({point.branch for point in own}):
            row = [point for point in own if point.branch == branch]
            cells = " | ".join(f"{one.full / one.counted:.2f}x, {one.error:.1e}" for one in row)
            lines.append(f"| {subject} | {branch} | {row[0].kept:.1%} of a full one | {cells} |")
    return "\n".join(lines)


def plot(found: Sequence[Point]) -> bytes:
    """A panel for each subject: error over interval, a colour for each branch, Hold dashed."""
    subjects = list(dict.fromkeys(point.subject for point in found))
    canvas = empty_canvas(figsize=(4.6 * len(subjects) + 1.2, 4.2), layout="constrained")
    axes: Any = canvas.subplots(1, len(subjects), squeeze=False)[0]
    for axis, subject in zip(axes, subjects, strict=True):
        own = [point for point in found if point.subject == subject]
        for branch in sorted({point.branch for point in own}):
            for forecast, dashes in zip(FORECASTS, DASHES, strict=True):
                line = [p for p in own if (p.branch, p.forecast) == (branch, forecast)]
                axis.plot(
                    [point.interval for point in line],
                    [point.error for point in line],
                    dashes,
                    color=COLOURS[branch % len(COLOURS)],
                    marker="o",
                    markersize=4,
                    linewidth=1.6,
                    label=f"branch {branch}, {type(forecast).__name__}",
                )
        axis.set_yscale("log")
        axis.set_xticks(sorted({point.interval for point in own}))
        axis.set_title(subject, fontsize=11)
        axis.set_xlabel("a full step every so many")
        axis.grid(visible=True, which="both", color="#e9ecef", linewidth=0.6)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    axes[0].set_ylabel("error of the latents, relative")
    canvas.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=9)
    return png_bytes(canvas)


def main(
    out: Annotated[Path, typer.Option(help="The plot.")] = Path("runs/transformer-errors.png"),
    intervals: Annotated[list[int] | None, typer.Option(help="Default: 2, 3, 5 and 8.")] = None,
) -> None:
    """Measure what every interval and branch saves and costs on three transformers."""
    require_matplotlib()
    tried = intervals or list(INTERVALS)
    found = [point for subject in SUBJECTS for point in points(Bench(subject), tried)]
    console = Console()
    console.print(table(found, tried), soft_wrap=True, markup=False)
    differing = [point for point in found if point.told != point.counted]
    console.print(
        f"The report's multiply-adds are those of the layers that ran in {len(found) - len(differing)} of "
        f"{len(found)} runs."
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(plot(found))
    console.print(str(out))


if __name__ == "__main__":
    typer.run(main)
