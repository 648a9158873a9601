"""The similarity of deep features, drawn: a square of steps by steps for each branch."""

import math
from typing import Any

from mmcache.tools.inspecting.similarity import ALIKE, Similarity
from mmcache.tools.media.plots import empty_canvas, png_bytes

SIDE, COLUMNS = 2.3, 2  # inches, of a square; two beside each other can be read on a phone
LETTERS = 11  # points
COLORS = "viridis"
LOWEST = 0.98  # the scale begins here at most, or what is nearly the same would look different


def draw_similarity(found: Similarity) -> bytes:
    """A PNG: bright where the features of two steps are alike.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    columns = min(COLUMNS, len(found.cosines))
    rows = math.ceil(len(found.cosines) / columns)
    size = (max(SIDE * columns, 3.6) + 0.6, (SIDE + 0.8) * rows + 1.2)
    canvas = empty_canvas(figsize=size, layout="constrained")
    canvas.get_layout_engine().set(h_pad=0.1)  # inches: the words of one square are not those of the next
    axes: Any = canvas.subplots(rows, columns, squeeze=False, sharey=True).flatten()
    for axis in axes[len(found.cosines) :]:
        axis.set_axis_off()
    lowest = min(LOWEST, math.floor(20 * min(cosines.min() for cosines in found.cosines.values())) / 20)
    for axis, (branch, cosines) in zip(axes, found.cosines.items(), strict=False):
        drawn = axis.imshow(cosines, vmin=lowest, vmax=1, cmap=COLORS, interpolation="nearest")
        axis.set_title(f"branch {branch}", fontsize=LETTERS)
        axis.set_xlabel(
            f"step\nnext step: {found.neighbours(branch):.4f}\n"
            f"steps above {ALIKE:g}: {found.alike(branch):.0%}",
            fontsize=LETTERS,
        )
        ticks = range(0, len(cosines), max(1, round(len(cosines) / 5)))
        axis.set_xticks(ticks)
        axis.set_yticks(ticks)
        axis.tick_params(labelsize=LETTERS)
        axis.spines[:].set_visible(False)
    for first in axes[::columns]:
        first.set_ylabel("step", fontsize=LETTERS)
    bar = canvas.colorbar(drawn, ax=list(axes), location="bottom", shrink=0.8, aspect=30)
    bar.set_label("cosine of the features", fontsize=LETTERS)
    bar.ax.tick_params(labelsize=LETTERS)
    bar.outline.set_visible(False)
    canvas.suptitle(f"{found.name}: how alike deep features are", fontsize=LETTERS)
    return png_bytes(canvas)
