"""The result of `mmcache tune` as a table."""

from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from mmcache.tools.quality.confidence import Mean
from mmcache.tools.tuning.tune import Tuned


def tuned_table(found: Tuned, file: Path) -> Group:
    """The plan beside evenly spaced ones of the same cost."""
    table = Table("plan", "prompts", "PSNR to full", title=f"{found.speedup:.2f}x fewer denoiser MACs")
    table.add_row("tuned", "test", decibels(found.test), style="bold")
    table.add_row("tuned", "validation", decibels(found.validation))
    for name, mean in found.baselines.items():
        table.add_row(f"evenly spaced, {name}", "test", decibels(mean))
    steps = len(found.plan.policy.full)  # type: ignore[attr-defined]
    ran = Text(f"{steps} full steps: {found.plan}, after {found.runs} runs", no_wrap=False)
    return Group(table, ran, Text(str(file), style="cyan", no_wrap=True, overflow="ignore"))


def decibels(mean: Mean) -> str:
    margin = "" if mean.margin is None else f" ± {mean.margin:.1f}"
    return f"{mean.value:.1f}{margin} dB"
