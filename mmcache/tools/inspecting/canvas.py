"""How drawings of denoisers look: what stays on a cached step in colour, the deep part in gray."""

from typing import Any

from mmcache.api.figures import format_macs
from mmcache.tools.inspecting.inspection import Inspection
from mmcache.tools.media.plots import empty_canvas

KEPT, DEEP, FEATURE = "#0b7285", "#dee2e6", "#e8590c"
INK, FAINT, PAPER = "#16181d", "#6a727a", "#ffffff"

# Drawings are about five inches wide: letters of eleven points are ten pixels on a phone.
INCHES = 0.48  # of a unit of the drawing
LETTERS, SMALL = 11, 10  # points
LETTER = 0.165  # of a unit, the width of a small letter
CELL_WIDTH, CELL_HEIGHT = 2.2, 0.7


def canvas(width: float, bottom: float, top: float) -> tuple[Any, Any]:
    """A figure and its axes, in units of the drawing, with the middle at 0."""
    figure = empty_canvas(figsize=(INCHES * width, INCHES * (top - bottom)), facecolor=PAPER)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(-width / 2, width / 2)
    axes.set_ylim(bottom, top)
    return figure, axes


def line(axes: Any, across: tuple[float, float], down: tuple[float, float], kept: bool) -> None:
    """What hands a hidden state on."""
    look = {"color": KEPT, "linewidth": 2.2, "zorder": 2} if kept else {"color": DEEP, "linewidth": 1.2}
    axes.plot(across, down, **look)


def cell(axes: Any, x: float, y: float, text: str, kept: bool, width: float = CELL_WIDTH) -> None:
    """A box with a word in it."""
    from matplotlib.patches import FancyBboxPatch

    corner = (x - width / 2, y - CELL_HEIGHT / 2)
    box = FancyBboxPatch(
        corner,
        width,
        CELL_HEIGHT,
        boxstyle="round,pad=0,rounding_size=0.18",
        facecolor=KEPT if kept else DEEP,
        edgecolor=PAPER,
        linewidth=1.5,
        zorder=3,
    )
    axes.add_patch(box)
    ink = PAPER if kept else FAINT
    axes.text(x, y, text, fontsize=SMALL, color=ink, ha="center", va="center", zorder=4)


def heading(found: Inspection, branch: int) -> str:
    """unet: UNet2DConditionModel at branch 0, and below it 20.79G of 338.60G MACs (6.1 %)."""
    chosen = found.branches[branch]
    words = f"{found.name}: {found.kind} at branch {branch}"
    if chosen.macs is None or not found.full_macs:
        return words
    share = 100 * chosen.macs / found.full_macs
    return f"{words},\n{format_macs(chosen.macs)} of {format_macs(found.full_macs)} MACs ({share:.1f} %)"
