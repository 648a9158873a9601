"""Inspected denoisers as a person reads them in a terminal."""

from rich.console import Group
from rich.text import Text

from mmcache.api.figures import format_bytes, format_macs
from mmcache.tools.inspecting.inspection import Branch, Inspection
from mmcache.tools.inspecting.similarity import ALIKE, Similarity
from mmcache.tools.tables import Column, FigureTable

COLUMNS = (
    Column("branch", words=True),
    Column("layers that stay on a cached step", words=True),
    Column("MACs"),
    Column("of full", style="green"),
    Column("cache per lane"),
)


def inspection_table(found: Inspection) -> Group:
    """The branches of one denoiser, with what the figures are for below them."""
    table = FigureTable(COLUMNS)
    for branch in found.branches:
        table.add_row(str(branch.branch), branch.layers, *figures(branch))
    if found.full_macs:
        table.add_section()
        table.add_row("full", "all layers", format_macs(found.full_macs), "100 %", "")
    title = Text(f"{found.name}: {found.kind} ({found.adapter}). Default plan: {found.plan}", style="bold")
    below = [Text(line, style="dim") for line in notes(found)]
    return Group(title, table, *below)


def similarity_table(found: Similarity) -> FigureTable:
    """How alike the deep features of a run's steps are, by branch."""
    columns = (Column("branch"), Column("cosine to the next step"), Column(f"steps above {ALIKE:g}"))
    table = FigureTable(columns, title=found.name)
    for branch in found.cosines:
        table.add_row(str(branch), f"{found.neighbours(branch):.4f}", f"{found.alike(branch):.0%}")
    return table


def figures(branch: Branch) -> tuple[str, str, str]:
    return (
        "?" if branch.macs is None else format_macs(branch.macs),
        "" if branch.share is None else f"{100 * branch.share:.1f} %",
        "?" if branch.bytes_per_lane is None else format_bytes(branch.bytes_per_lane),
    )


def notes(found: Inspection) -> list[str]:
    """What the figures are for, or why there are none."""
    if found.note:
        return [found.note]
    call = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in found.call.items() if shape)
    of = f" for {found.stands_for}" if found.stands_for else ""
    return [
        f"One call{of} with {call}. Cache: one feature in half precision for each lane of a step; a forecast "
        f"of order n keeps n + 1."
    ]
