"""python -m mmcache_demos.transformers.against_caches: mmcache beside other caches for transformers.

The same pipelines, from the same noise, in one process: cache-dit (pip install --no-deps cache-dit), caches
of diffusers, and what is written here from papers' equations. Each is set so that its run takes as many
multiply-adds as a full step at every second, third, fifth and eighth does in mmcache, as nearly as it can.
The table says how far its result is from the full run, what it holds, and what a cached step costs beside
the layers it runs.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import torch
import typer
from rich.console import Console
from rich.progress import track

from mmcache.api.figures import format_bytes
from mmcache.errors import unknown_name
from mmcache_demos.transformers.bench import Bench, Ran, nearest
from mmcache_demos.transformers.methods import METHODS, Method
from mmcache_demos.transformers.overhead import Overhead, PairTimer, overhead_of, without
from mmcache_demos.transformers.subjects import SUBJECTS_BY_NAME

SUBJECTS = ("portraits", "flux", "wan")
INTERVALS = (2, 3, 5, 8)
TIMED = 3  # the interval at which the overhead is measured
HEADER = (
    "| pipeline | full every | way | setting | fewer MACs | error | held | cached call, ms "
    "| overhead, ms |\n|---|---|---|---|---|---|---|---|---|"
)


class Chosen(NamedTuple):
    """A method at the setting that was chosen, and its run."""

    method: Method
    setting: Any
    ran: Ran


@dataclass(frozen=True)
class Line:
    """A way of caching at a price.

    Attributes:
        subject: the pipeline.
        interval: whose price is asked for.
        way: the method.
        setting: the one that is nearest.
        fewer_macs: how many times.
        error: of the latents, relative to those of the full run: norm over norm, the mean over pictures.
        bytes_held: at most, at the beginning of a call.
        failed: why there are no figures.
        overhead: of a cached call; None where it was not timed.
    """

    subject: str
    interval: int
    way: str
    setting: str = ""
    fewer_macs: float = 0.0
    error: float = 0.0
    bytes_held: int = 0
    failed: str = ""
    overhead: Overhead | None = None

    def row(self) -> str:
        """Of the table."""
        start = f"| {self.subject} | {self.interval} | {self.way} |"
        if self.failed:
            return f"{start} {self.failed} | | | | | |"
        figures = (
            f" {self.setting} | {self.fewer_macs:.2f}x | {self.error:.2e} | {format_bytes(self.bytes_held)} |"
        )
        cost = f" {self.overhead.call:.1f} | {self.overhead} |" if self.overhead else " | |"
        return start + figures + cost


def compared(bench: Bench, intervals: Sequence[int], repeats: int) -> list[Line]:
    """All methods at the price of all intervals."""
    known: dict[str, dict[Any, Ran]] = {method.name: {} for method in METHODS}
    lines = []
    for interval in intervals:
        chosen: dict[str, Chosen] = {}
        ours = METHODS[0]
        known[ours.name][interval] = bench.run(ours, interval)
        wanted = bench.macs(known[ours.name][interval])  # multiply-adds: all others are to take as many
        for method in track(METHODS, f"{bench.subject.name}, full every {interval}"):
            line = Line(bench.subject.name, interval, method.name)
            try:
                setting = nearest(bench, method, interval, wanted, known[method.name])
                ran = known[method.name].get(setting) or bench.run(method, setting)
            except Exception as error:  # whatever a package says of a pipeline that it does not fit
                said = " ".join(str(error).split())[:100]
                lines.append(replace(line, failed=f"{type(error).__name__}: {said}"))
                continue
            chosen[method.name] = Chosen(method, setting, ran)
            lines.append(
                replace(
                    line,
                    setting=shown(setting),
                    fewer_macs=bench.full_macs / bench.macs(ran),
                    error=bench.error(ran),
                    bytes_held=ran.held,
                )
            )
        if interval == TIMED and repeats:
            costs = timed(bench, list(chosen.values()), repeats)
            lines = [
                replace(line, overhead=costs.get(line.way)) if line.interval == TIMED else line
                for line in lines
            ]
    return lines


def timed(bench: Bench, chosen: Sequence[Chosen], repeats: int) -> dict[str, Overhead]:
    """What each method costs on a cached call. The methods take turns, so that a drift favours none."""
    timers = {
        one.method.name: PairTimer(
            without(bench.subject.make().transformer, one.ran.usual_cached, bench.given),
            [left_out == one.ran.usual_cached for left_out in one.ran.calls],
        )
        for one in chosen
        if one.ran.usual_cached
    }
    for _ in track(range(repeats), f"{bench.subject.name}, timing"):
        for method, setting, _ran in chosen:
            if method.name not in timers:
                continue  # its cached steps call nothing
            pipe = bench.pipe()
            with method.enabled(bench.subject, pipe, setting), timers[method.name].around(pipe.transformer):
                bench.subject.draw(pipe)
    return {name: overhead_of(timer.pairs) for name, timer in timers.items() if len(timer.pairs) > 1}


def shown(setting: Any) -> str:
    """A setting as tables have it."""
    if isinstance(setting, tuple):
        return ", ".join(map(shown, setting))
    return setting if isinstance(setting, str) else f"{setting:.3g}"


def main(
    repeats: Annotated[int, typer.Option(min=0, help="Rounds of timed runs; 0: nothing is timed.")] = 3,
    intervals: Annotated[list[int] | None, typer.Option(help="Default: 2, 3, 5 and 8.")] = None,
    subject: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(SUBJECTS)}.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the figures here, as JSON.")] = None,
) -> None:
    """Compare the caches."""
    for name in subject or []:
        if name not in SUBJECTS:
            raise typer.BadParameter(unknown_name("subject", name, SUBJECTS))
    torch.set_num_threads(1)  # seconds are those of this thread
    lines = []
    for name in subject or SUBJECTS:
        lines += compared(Bench(SUBJECTS_BY_NAME[name]), intervals or INTERVALS, repeats)
        if out:  # also of those before, should another one fail
            out.write_text(json.dumps([asdict(line) for line in lines], indent=2) + "\n")
    Console().print("\n".join([HEADER, *(line.row() for line in lines)]), soft_wrap=True, markup=False)


if __name__ == "__main__":
    typer.run(main)
