"""What `mmcache tune` found, as a person reads it."""

from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from mmcache.tools.quality.confidence import Mean
from mmcache.tools.tuning.tune import Tuned


def tuned_table(found: Tuned, file: Path) -> Group:
    """The plan beside evenly spaced ones of the same price."""
    table = Table("plan", "prompts", "PSNR to full", title=f"{found.speedup:.2f}x fewer denoiser MACs")
    table.add_row("tuned", "held out", decibels(found.held_out), style="bold")
    table.add_row("tuned", "chosen by", decibels(found.tuned_on))
    for name, mean in found.rivals.items():
        table.add_row(f"evenly spaced, {name}", "held out", decibels(mean))
    steps = len(found.plan.policy.full)  # type: ignore[attr-defined]
    ran = Text(f"{steps} full steps: {found.plan}, after {found.runs} runs", no_wrap=False)
    return Group(table, ran, Text(str(file), style="cyan", no_wrap=True, overflow="ignore"))


def decibels(mean: Mean) -> str:
    margin = "" if mean.margin is None else f" ± {mean.margin:.1f}"
    return f"{mean.value:.1f}{margin} dB"
