"""The U of a U-Net, drawn: what stays on a cached step in colour, the deep part in gray."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from torch import nn

from mmcache.api.figures import format_bytes
from mmcache.architectures.registry import adapter_for
from mmcache.layouts.unet_blocks import layers_of, skips
from mmcache.tools.inspecting.canvas import (
    CELL_HEIGHT,
    CELL_WIDTH,
    FEATURE,
    INK,
    LETTERS,
    SMALL,
    canvas,
    cell,
    heading,
    line,
)
from mmcache.tools.inspecting.inspection import Inspection
from mmcache.tools.inspecting.layers import staying
from mmcache.tools.media.plots import png_bytes

# In units of the drawing: a skip connection is one below the next.
LEVEL = 0.55  # more between two levels
SLOPE = 0.4  # by which a level stands further in than the one above it
INNER = 2.2  # between the two sides of the deepest level
OUTER = 1.5  # beside the outermost level, for words


class Row(NamedTuple):
    """A skip connection: the layer that gives it on the left, the one that takes it on the right.

    Attributes:
        giver, taker: what is written there.
        given_by, taken_by: the modules.
        down, up: the blocks they are in; -1 for conv_in.
        left, right: their levels, 0 for the outermost.
    """

    giver: str
    given_by: nn.Module
    down: int
    left: int
    taker: str
    taken_by: nn.Module
    up: int
    right: int


def rows_of(model: nn.Module) -> list[Row]:
    """The skip connections, outermost first.

    Raises:
        ValueError: the model is not made of diffusers' blocks with skip connections.
    """
    down, up = (list(getattr(model, name, None) or []) for name in ("down_blocks", "up_blocks"))
    if not down or not up or not all(hasattr(block, "resnets") for block in (*down, *up)):
        raise ValueError(
            f"a {type(model).__name__} cannot be drawn: only U-Nets of diffusers' down and up blocks can. "
            f"Its layers are in the table, without --plot"
        )
    givers = [giver(model, down, skip) for skip in skips(model)]
    takers = [
        (f"layer {layer}", block.resnets[layer], index, len(up) - 1 - index)
        for index, block in enumerate(up)
        for layer in range(layers_of(block))
    ]
    if len(givers) != len(takers):
        raise ValueError(
            f"this {type(model).__name__} cannot be drawn: it has {len(givers)} skip connections and "
            f"{len(takers)} layers that take one. Its layers are in the table, without --plot"
        )
    return [Row(*left, *right) for left, right in zip(givers, reversed(takers), strict=True)]


def giver(model: Any, down: Sequence[Any], skip: Any) -> tuple[str, nn.Module, int, int]:
    """What gives a skip connection, its block and its level."""
    if skip.block < 0:
        return "conv_in", model.conv_in, -1, 0
    if skip.downsampled:
        return "downsampler", down[skip.block].downsamplers, skip.block, skip.block + 1
    return f"layer {skip.layers - 1}", down[skip.block].resnets[skip.layers - 1], skip.block, skip.block


def draw_u(model: nn.Module, found: Inspection, branch: int, titled: bool = True) -> bytes:
    """A PNG of the U at a branch.

    Raises:
        ValueError: the denoiser has no such branch, or its blocks form no U that can be drawn.
    """
    adapter = adapter_for(model)
    assert adapter is not None, "only what an adapter describes is inspected"
    left = staying(model, adapter.cut(model, branch))
    rows = rows_of(model)
    heights = [-index - LEVEL * max(row.left, row.right) for index, row in enumerate(rows)]
    bottom = heights[-1] - 1 - LEVEL
    edge = INNER / 2 + SLOPE * max(max(row.left, row.right) for row in rows) + CELL_WIDTH
    width = 2 * (edge + OUTER)
    figure, axes = canvas(width, bottom - 0.9, 2.5 if titled else 0.9)

    places = [
        (SLOPE * row.left + CELL_WIDTH / 2 - edge, edge - CELL_WIDTH / 2 - SLOPE * row.right) for row in rows
    ]
    kept = [(id(row.given_by) in left, id(row.taken_by) in left) for row in rows]
    middle = ((0.0, 0.0), bottom, id(model.mid_block) in left)
    path = [*zip(places, heights, kept, strict=True), (middle[0], bottom, (middle[2], middle[2]))]
    for (xs, y, stays), (next_xs, next_y, next_stays) in pairwise(path):
        line(axes, (xs[0], next_xs[0]), (y, next_y), stays[0] and next_stays[0])
        line(axes, (next_xs[1], xs[1]), (next_y, y), stays[1] and next_stays[1])
        line(axes, xs, (y, y), stays[1])
    for row, xs, y, stays in zip(rows, places, heights, kept, strict=True):
        cell(axes, xs[0], y, row.giver, stays[0])
        cell(axes, xs[1], y, row.taker, stays[1])
    if model.mid_block is not None:
        cell(axes, 0, bottom, "mid block", middle[2])
    name_blocks(axes, rows, places, heights)
    mark_feature(axes, path, found, branch)
    if titled:
        axes.text(0.3 - width / 2, 1.5, heading(found, branch), fontsize=LETTERS, color=INK, va="center")
    return png_bytes(figure)


def name_blocks(
    axes: Any, rows: Sequence[Row], places: Sequence[tuple[float, float]], heights: Sequence[float]
) -> None:
    """The name of each block outside the U, at the middle of its layers."""
    for side, sign in (("down", -1), ("up", 1)):
        blocks: dict[int, list[tuple[float, float]]] = {}
        for row, xs, y in zip(rows, places, heights, strict=True):
            if getattr(row, side) >= 0 and (sign > 0 or row.left == row.down):  # not its downsampler
                blocks.setdefault(getattr(row, side), []).append((xs[sign > 0], y))
        for index, cells in blocks.items():
            x = sign * max(sign * x for x, _ in cells) + sign * (CELL_WIDTH / 2 + 0.25)
            y = sum(y for _, y in cells) / len(cells)
            align = "left" if sign > 0 else "right"
            axes.text(x, y, f"{side} {index}", fontsize=SMALL, color=INK, ha=align, va="center")


def mark_feature(axes: Any, path: Sequence[Any], found: Inspection, branch: int) -> None:
    """Where the kept feature comes in: below the innermost layer on the right that stays."""
    last = max(index for index, (_, _, (_, used)) in enumerate(path[:-1]) if used)
    (_, x), y, _ = path[last]
    held = found.branches[branch].bytes_per_lane
    text = "kept feature" + ("" if held is None else f"\n{format_bytes(held)}")
    beside = x - CELL_WIDTH / 2 - 0.2  # clear of the cell below
    axes.plot([x], [y - 0.5], marker="D", markersize=8, color=FEATURE, zorder=5)
    axes.plot([beside, x], [y - 0.5, y - 0.5], color=FEATURE, linewidth=1.2, zorder=2)
    axes.plot([x, x], [y - 0.5, y - CELL_HEIGHT / 2], color=FEATURE, linewidth=2.2, zorder=2)
    axes.text(beside - 0.1, y - 0.52, text, fontsize=SMALL, color=FEATURE, ha="right", va="center", zorder=5)
