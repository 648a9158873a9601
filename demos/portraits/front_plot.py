"""python -m mmcache_demos.portraits.front_plot: the front as a picture, a panel for each measurement.

It draws what `frontier --out` has written: PSNR to the full run over how many times fewer multiply-adds the
denoiser took, a line for each way to save.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from mmcache.tools.media.plots import empty_canvas, png_bytes
from mmcache.tools.quality.confidence import Mean
from mmcache_demos.portraits.frontier import Line

UNSEEN = 45.0  # dB, from which on nobody sees a difference


class Series(NamedTuple):
    """A way to save, at several costs.

    Attributes:
        name: in the legend.
        ways: matches the names of its lines.
        look: of matplotlib's `plot`.
    """

    name: str
    ways: str
    look: Mapping[str, Any]


SERIES = (
    Series("calibrated", r"calibrated", {"color": "#d6336c", "marker": "D", "linewidth": 2.2}),
    Series("presets", r"`", {"color": "#1c7ed6", "marker": "o", "linewidth": 2.2}),
    Series("no layer on cached steps", r".*nothing", {"color": "#e8890c", "marker": "s", "linewidth": 1.6}),
    Series(
        "every N-th step, branch 0", r"every \d+, branch", {"color": "#74a9d8", "marker": ".", "ls": "--"}
    ),
    Series("fewer steps, no cache", r"no cache", {"color": "#868e96", "marker": "x", "ls": ":"}),
)


def panel(axis: Any, lines: Sequence[Line]) -> None:
    """All ways of one measurement."""
    axis.axhspan(UNSEEN, 90, color="#f1f8f3", zorder=0)
    for series in SERIES:
        own = sorted((one for one in lines if re.match(series.ways, one.way)), key=lambda one: one.macs)
        axis.plot(
            [one.macs for one in own], [one.psnr.value for one in own], label=series.name, **series.look
        )
    axis.set_xscale("log")
    axis.set_xticks([2, 3, 4, 5, 7], ["2x", "3x", "4x", "5x", "7x"], minor=False)
    axis.set_xticks([], minor=True)
    axis.set_xlim(1.6, 7.6)
    axis.set_ylim(18, 76)
    axis.grid(visible=True, color="#e9ecef", linewidth=0.6)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def plot(measured: Mapping[str, Sequence[Line]]) -> bytes:
    """A panel for each title, two in a row, as PNG."""
    rows = -(-len(measured) // 2)
    canvas = empty_canvas(figsize=(9.0, 3.6 * rows + 0.7), layout="constrained")
    axes: Any = canvas.subplots(rows, 2, sharex=True, sharey=True, squeeze=False)
    for axis, (title, lines) in zip(axes.flat, measured.items(), strict=False):
        panel(axis, lines)
        axis.set_title(title, fontsize=12)
    for axis in axes[-1]:
        axis.set_xlabel("fewer multiply-adds")
    for axis in axes[:, 0]:
        axis.set_ylabel("PSNR to the full run, dB")
    axes[0, 0].text(7.4, 73, "shaded: nobody sees a difference", ha="right", color="#5c8a6b", fontsize=9)
    handles = axes[0, 0].get_legend_handles_labels()
    canvas.legend(*handles, loc="outside lower center", ncols=3, frameon=False, fontsize=10)
    return png_bytes(canvas)


def main(
    files: Annotated[list[Path], typer.Argument(help="What `frontier --out` has written.")],
    title: Annotated[list[str] | None, typer.Option(help="Of each file's panel; default: its name.")] = None,
    out: Annotated[Path, typer.Option(help="The plot.")] = Path("runs/front.png"),
) -> None:
    """Draw measured fronts beside each other."""
    titles = title or [path.stem for path in files]
    if len(titles) != len(files):
        raise typer.BadParameter(f"got {len(titles)} titles for {len(files)} files; wanted one for each")
    measured = {
        name: [Line(**one | {"psnr": Mean.from_dict(one["psnr"])}) for one in json.loads(path.read_text())]
        for name, path in zip(titles, files, strict=True)
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(plot(measured))
    typer.echo(out)


if __name__ == "__main__":
    typer.run(main)
