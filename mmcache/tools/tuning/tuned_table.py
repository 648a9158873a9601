"""The result of `mmcache tune` as a table."""

from pathlib import Path

from rich.console import Group
from rich.text import Text

from mmcache.tools.quality.confidence import Mean
from mmcache.tools.tables import Column, FigureTable
from mmcache.tools.tuning.tune import Tuned

COLUMNS = (Column("plan", words=True), Column("prompts", words=True), Column("PSNR to full"))


def tuned_table(found: Tuned, file: Path) -> Group:
    """The plan beside evenly spaced ones of the same cost, and what to take."""
    table = FigureTable(COLUMNS, title=f"{found.speedup:.2f}x fewer denoiser MACs")
    if found.rejected is None:
        table.add_row("tuned", "test", decibels(found.test), style="bold")
        table.add_row("tuned", "validation", decibels(found.validation))
    else:
        table.add_row("best of the search, not written", "test", decibels(found.rejected))
    for name, mean in found.baselines.items():
        table.add_row(f"evenly spaced, {name}", "test", decibels(mean))
    steps = len(found.plan.policy.full)  # type: ignore[attr-defined]
    ran = Text(f"{steps} full steps: {found.plan}, after {found.runs} runs")
    return Group(table, ran, Text(recommendation(found, file)))


def recommendation(found: Tuned, file: Path) -> str:
    """One line: what was written, why, and how it is used."""
    even = max(mean.value for mean in found.baselines.values())
    why = f"the best evenly spaced plan of that cost has {even:.1f} dB"
    if found.rejected is not None:
        why = f"an evenly spaced plan, since none of the search was better ({found.rejected.value:.1f} dB)"
    return (
        f"Recommended: {found.speedup:.2f}x fewer denoiser MACs, PSNR {found.test.value:.1f} dB on test "
        f"prompts; {why}. Use it: --plan {file}"
    )


def decibels(mean: Mean) -> str:
    margin = "" if mean.margin is None else f" ± {mean.margin:.1f}"
    return f"{mean.value:.1f}{margin} dB"
