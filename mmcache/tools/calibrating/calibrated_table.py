"""The result of `mmcache calibrate` as a table."""

from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from mmcache.plans.plan import concise
from mmcache.tools.calibrating.calibrate import Calibrated
from mmcache.tools.tuning.tuned_table import decibels


def calibrated_table(found: Calibrated, file: Path) -> Group:
    """A row for each cost."""
    table = Table("cost", "full steps", "between them", "latent error, predicted", "PSNR to full, measured")
    for name, plan in found.plans.items():
        steps = ", ".join(map(str, plan.policy.full))  # type: ignore[attr-defined]
        psnr = decibels(found.measured[name]) if name in found.measured else "-"
        table.add_row(name, steps, concise(plan.forecast), f"-{found.predicted[name]:.1f} dB", psnr)
    runs = Text(f"after what {found.runs:g} images take in full")
    return Group(table, runs, Text(f"{file}#{next(iter(found.plans))}", style="cyan", no_wrap=True))
