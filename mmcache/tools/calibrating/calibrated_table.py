"""The result of `mmcache calibrate` as a table."""

from pathlib import Path

from rich.console import Group
from rich.text import Text

from mmcache.plans.plan import concise
from mmcache.tools.calibrating.calibrate import Calibrated
from mmcache.tools.sweeping.recommendation import GOOD_DB
from mmcache.tools.tables import Column, FigureTable
from mmcache.tools.tuning.tuned_table import decibels

COLUMNS = (
    Column("cost"),
    Column("full steps", words=True),
    Column("between them", words=True),
    Column("latent error, predicted"),
    Column("PSNR to full, measured"),
)
USUAL = 2.5  # times: about what default plans cost


def calibrated_table(found: Calibrated, file: Path) -> Group:
    """A row for each plan, and what to take; in a short run several costs have one plan."""
    table = FigureTable(COLUMNS)
    costs: dict[tuple[int, ...], list[str]] = {}
    for name, plan in found.plans.items():
        costs.setdefault(plan.policy.full, []).append(name)  # type: ignore[attr-defined]
    for steps, (name, *others) in costs.items():
        psnr = decibels(found.measured[name]) if name in found.measured else "-"
        table.add_row(
            ", ".join([name, *others]),
            ", ".join(map(str, steps)),
            concise(found.plans[name].forecast),
            f"-{found.predicted[name]:.1f} dB",
            psnr,
        )
    runs = Text(f"The calibration took as much as {found.runs:g} full images.")
    return Group(table, runs, Text(recommendation(found, file)))


def recommendation(found: Calibrated, file: Path) -> str:
    """One line: which cost to begin with, why, and how it is used."""
    if not found.measured:
        name = min(found.plans, key=lambda cost: abs(found.speedup[cost] - USUAL))
        return (
            f"Recommended: {name}, about the default plan's cost; nothing was measured here (--held-out 4 "
            f"would). Use it: --plan {file}#{name}"
        )
    close = [name for name, mean in found.measured.items() if mean.value - (mean.margin or 0.0) >= GOOD_DB]
    if close:
        name = max(close, key=lambda cost: found.speedup[cost])
        why = f"it saves the most of those with a PSNR of {GOOD_DB:g} dB or more"
    else:
        name = max(found.measured, key=lambda cost: found.measured[cost].value)
        why = f"none has a PSNR of {GOOD_DB:g} dB with certainty, and it is the closest"
    return (
        f"Recommended: {name}: {found.speedup[name]:.2f}x fewer MACs, PSNR "
        f"{found.measured[name].value:.1f} dB; {why}. Use it: --plan {file}#{name}"
    )
