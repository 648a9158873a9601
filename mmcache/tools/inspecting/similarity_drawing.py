"""The similarity of deep features, drawn: a square of steps by steps for each branch."""

import math
from typing import Any

from mmcache.tools.inspecting.similarity import ALIKE, Similarity
from mmcache.tools.media.plots import empty_canvas, png_bytes

SIDE = 3.6  # inches, of a square
COLORS = "viridis"
LOWEST = 0.98  # the scale begins here at most, or what is nearly the same would look different


def draw_similarity(found: Similarity) -> bytes:
    """A PNG: bright where the features of two steps are alike.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    squares = len(found.cosines)
    canvas = empty_canvas(figsize=(SIDE * squares + 1.1, SIDE + 1.7), layout="constrained")
    axes: Any = canvas.subplots(1, squares, squeeze=False, sharey=True)[0]
    lowest = min(LOWEST, math.floor(20 * min(cosines.min() for cosines in found.cosines.values())) / 20)
    for axis, (branch, cosines) in zip(axes, found.cosines.items(), strict=True):
        drawn = axis.imshow(cosines, vmin=lowest, vmax=1, cmap=COLORS, interpolation="nearest")
        axis.set_title(f"branch {branch}", fontsize=11)
        axis.set_xlabel(
            f"step\n\nnext step: {found.neighbours(branch):.4f}\n"
            f"steps above {ALIKE:g}: {found.alike(branch):.0%}",
            fontsize=9,
        )
        ticks = range(0, len(cosines), max(1, round(len(cosines) / 5)))
        axis.set_xticks(ticks)
        axis.set_yticks(ticks)
        axis.tick_params(labelsize=8)
        axis.spines[:].set_visible(False)
    axes[0].set_ylabel("step", fontsize=9)
    bar = canvas.colorbar(drawn, ax=list(axes), shrink=0.8, pad=0.015)
    bar.set_label("cosine of the features", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    bar.outline.set_visible(False)
    canvas.suptitle(f"{found.name}: how alike deep features are from step to step", fontsize=12)
    return png_bytes(canvas)
