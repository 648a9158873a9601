"""The stack of a transformer, drawn: a bar for each block, in colour where it stays, else in gray."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from mmcache.api.figures import format_bytes, format_macs
from mmcache.tools.inspecting.canvas import (
    CELL_HEIGHT,
    DEEP,
    FAINT,
    FEATURE,
    INK,
    KEPT,
    LETTER,
    LETTERS,
    SMALL,
    canvas,
    cell,
    heading,
    line,
)
from mmcache.tools.inspecting.inspection import Inspection
from mmcache.tools.inspecting.stack_parts import Part
from mmcache.tools.media.plots import png_bytes

# In units of the drawing.
BAR_WIDTH = 2.6
BARS_HEIGHT = 13.0  # of all blocks together
TALLEST = 0.6  # of one
SHORTEST = 1.1  # of a part, so that its words have room
GAP = 0.45  # between two parts
MARGIN = 0.35  # beside words
ASIDE = 0.9  # how far from the bars the streams pass the deep part
APART = 0.28  # between two streams


def draw_stack(found: Inspection, branch: int, titled: bool = True) -> bytes:
    """A PNG of the stack at a branch, which has parts."""
    parts = found.branches[branch].parts
    blocks = sum(count(part) for part in parts)
    heights = [max(SHORTEST, count(part) * min(TALLEST, BARS_HEIGHT / blocks)) for part in parts]
    tops = [-GAP - CELL_HEIGHT / 2 - sum(heights[:n]) - GAP * n for n in range(len(parts))]
    end = tops[-1] - heights[-1] - GAP - CELL_HEIGHT / 2
    width = BAR_WIDTH + 2 * beside(parts)
    figure, axes = canvas(width, end - 1.5, 2.3 if titled else 0.9)

    streams = lanes(max(len(part.streams) for part in parts))
    shown = [
        (0.0, 0.0, True),
        *zip(tops, heights, (part.stays for part in parts), strict=True),
        (end, 0.0, True),
    ]
    for (top, height, stays), (below, _, next_stays) in pairwise(shown):
        for x in streams if stays and next_stays else ():
            line(axes, (x, x), (top - height, below), kept=True)
    cell(axes, 0, 0, "embeddings", True, BAR_WIDTH)
    cell(axes, 0, end, "output layers", True, BAR_WIDTH)
    for part, top, height in zip(parts, tops, heights, strict=True):
        bars(axes, part, top, height)
    pass_by(axes, found, branch, tops, heights)
    if found.full_macs:
        rest = found.full_macs - sum(part.macs or 0 for part in parts)
        axes.text(
            0,
            end - 0.85,
            f"all but the blocks: {format_macs(rest)} MACs",
            fontsize=SMALL,
            color=INK,
            ha="center",
        )
    if titled:
        axes.text(0.3 - width / 2, 1.5, heading(found, branch), fontsize=LETTERS, color=INK, va="center")
    return png_bytes(figure)


def beside(parts: Sequence[Part]) -> float:
    """What words need on either side of the bars."""
    left = max(len(text) for part in parts for text in words_of(part))
    right = max(len(name) for part in parts for name in (*part.streams, "kept feature"))
    return max(LETTER * left + 2 * MARGIN, ASIDE + APART + LETTER * right + 2 * MARGIN)


def words_of(part: Part) -> tuple[str, str]:
    """The name of a part, and what becomes of it."""
    numbers = f"{part.first}" if part.first == part.last else f"{part.first}-{part.last}"
    does = "runs" if part.stays else "left out"
    said = does if part.macs is None else f"{does}, {format_macs(part.macs)} MACs"
    return f"{part.blocks} {numbers}", said


def count(part: Part) -> int:
    return part.last - part.first + 1


def lanes(streams: int) -> list[float]:
    """Where streams run side by side, around 0."""
    return [APART * (number - (streams - 1) / 2) for number in range(streams)]


def bars(axes: Any, part: Part, top: float, height: float) -> None:
    """The blocks of a part, and what is said beside them."""
    from matplotlib.patches import Rectangle

    tall = height / count(part)
    for number in range(count(part)):
        corner = (-BAR_WIDTH / 2, top - (number + 1) * tall)
        color = KEPT if part.stays else DEEP
        bar = Rectangle(corner, BAR_WIDTH, tall, facecolor=color, edgecolor="white", linewidth=1, zorder=3)
        axes.add_patch(bar)
    middle, ink = top - height / 2, INK if part.stays else FAINT
    left = -BAR_WIDTH / 2 - MARGIN
    name, said = words_of(part)
    axes.text(left, middle + 0.22, name, fontsize=SMALL, color=ink, ha="right", va="center")
    axes.text(left, middle - 0.25, said, fontsize=SMALL, color=FAINT, ha="right", va="center")


def pass_by(
    axes: Any, found: Inspection, branch: int, tops: Sequence[float], heights: Sequence[float]
) -> None:
    """How the streams pass what is left out, and where the kept feature is added to them."""
    chosen = found.branches[branch]
    deep = [index for index, part in enumerate(chosen.parts) if not part.stays]
    top, bottom = tops[deep[0]] + GAP, tops[deep[-1]] - heights[deep[-1]] - GAP
    above, below = top - GAP / 2, bottom + GAP / 2
    streams = tuple(dict.fromkeys(name for index in deep for name in chosen.parts[index].streams))
    for x in lanes(len(streams)):
        aside = BAR_WIDTH / 2 + ASIDE + x
        # The outermost turns first and comes back last, so that none crosses another.
        turns = [top, above + x / 2, above + x / 2, below - x / 2, below - x / 2, bottom]
        axes.plot([x, x, aside, aside, x, x], turns, color=KEPT, linewidth=2.2, zorder=2)
    turn = BAR_WIDTH / 2 + ASIDE + lanes(len(streams))[-1] + 0.35
    middle = (above + below) / 2
    for number, name in enumerate(streams):
        y = middle + 0.25 * (len(streams) - 1) - 0.5 * number
        axes.text(turn, y, name, fontsize=SMALL, color=KEPT, ha="left", va="center")
    joins = BAR_WIDTH / 2 + ASIDE
    held = "" if chosen.bytes_per_lane is None else f"\n{format_bytes(chosen.bytes_per_lane)}"
    axes.plot([joins], [below], marker="D", markersize=8, color=FEATURE, zorder=5)
    axes.text(turn, below, f"kept feature{held}", fontsize=SMALL, color=FEATURE, ha="left", va="center")
