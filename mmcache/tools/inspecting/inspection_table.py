"""Inspected denoisers as a person reads them in a terminal."""

from rich.console import Group
from rich.table import Table
from rich.text import Text

from mmcache.api.figures import format_bytes, format_macs
from mmcache.tools.inspecting.inspection import Branch, Inspection


def inspection_table(found: Inspection) -> Group:
    """The branches of one denoiser, with what the figures are for below them."""
    table = Table("branch")
    table.add_column("layers that stay on a cached step")
    table.add_column("MACs", justify="right")
    table.add_column("of full", justify="right", style="green")
    table.add_column("cache per lane", justify="right")
    for branch in found.branches:
        table.add_row(str(branch.branch), branch.layers, *figures(branch))
    if found.full_macs:
        table.add_section()
        table.add_row("full", "all layers", format_macs(found.full_macs), "100 %", "")
    title = Text(f"{found.name}: {found.kind} ({found.adapter}). Default plan: {found.plan}", style="bold")
    below = [Text(line, style="dim") for line in notes(found)]
    return Group(title, table, *below)


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
