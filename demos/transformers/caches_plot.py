"""python -m mmcache_demos.transformers.caches_plot: caches at equal multiply-adds as a picture.

It draws what `against_caches --out` has written of one pipeline: how far the latents end from those of the
full run over how many times fewer multiply-adds the denoiser took, a line for each cache.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from mmcache.tools.media.plots import empty_canvas, png_bytes

RED, ORANGE, BLUE, VIOLET, GREEN, GREY = "#d6336c", "#e8890c", "#1c7ed6", "#7048e8", "#2b8a3e", "#868e96"


class Series(NamedTuple):
    """Caches that look alike in the picture.

    Attributes:
        name: in the legend.
        ways: of `against_caches`.
        look: of matplotlib's `plot`.
    """

    name: str
    ways: tuple[str, ...]
    look: Mapping[str, Any]


SERIES = (
    Series("mmcache, calibrated", ("mmcache, calibrated",), {"color": RED, "marker": "D", "linewidth": 2.4}),
    Series("mmcache, no layer", ("mmcache, no layer",), {"color": ORANGE, "marker": "s", "linewidth": 2.0}),
    Series(
        "cache-dit: threshold and mask, TaylorSeer",
        ("cache-dit, threshold, TaylorSeer", "cache-dit, mask, TaylorSeer"),
        {"color": BLUE, "marker": "o"},
    ),
    Series(
        "cache-dit: threshold, DMD and FoCa",
        ("cache-dit, threshold, DMD", "cache-dit, threshold, FoCa"),
        {"color": BLUE, "marker": "v", "ls": ":"},
    ),
    Series(
        "diffusers: FirstBlockCache, TaylorSeer and lite, MagCache",
        (
            "diffusers FirstBlockCache",
            "diffusers TaylorSeer",
            "diffusers TaylorSeer, lite",
            "diffusers MagCache",
        ),
        {"color": VIOLET, "marker": "^", "ls": "--"},
    ),
    Series(
        "from their equations: Spectrum, EasyCache, LeMiCa, DPCache",
        (
            "Spectrum, by its equations",
            "EasyCache, by its equations",
            "schedule as LeMiCa's, held",
            "schedule as DPCache's, extrapolated",
        ),
        {"color": GREEN, "marker": "x", "ls": "--"},
    ),
    Series("DeepCache's reuse (Hold)", ("mmcache, Hold",), {"color": GREY, "marker": ".", "ls": ":"}),
)


def plot(lines: Sequence[Mapping[str, Any]]) -> bytes:
    """The picture as PNG, of the lines of one pipeline as `against_caches` writes them."""
    canvas = empty_canvas(figsize=(8.2, 6.0), layout="constrained")
    axis: Any = canvas.subplots()
    for series in SERIES:
        for number, way in enumerate(series.ways):
            own = sorted((one for one in lines if one["way"] == way), key=lambda one: one["fewer_macs"])
            own = [one for one in own if not one["failed"]]
            axis.plot(
                [one["fewer_macs"] for one in own],
                [one["error"] for one in own],
                label=series.name if number == 0 else None,
                **{"linewidth": 1.3, **series.look},
            )
    axis.set_yscale("log")
    axis.grid(visible=True, which="both", color="#e9ecef", linewidth=0.6)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    axis.set_xlabel("fewer multiply-adds")
    axis.xaxis.set_major_formatter("{x:g}x")
    axis.set_ylabel("distance of the latents from the full run (lower is closer)")
    canvas.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return png_bytes(canvas)


def main(
    file: Annotated[Path, typer.Argument(help="What `against_caches --out` has written.")],
    out: Annotated[Path, typer.Option(help="The plot.")] = Path("runs/caches.png"),
) -> None:
    """Draw caches beside each other."""
    lines = json.loads(file.read_text())
    subjects = sorted({one["subject"] for one in lines})
    if len(subjects) != 1:
        raise typer.BadParameter(
            f"{file} is of {', '.join(subjects) or 'no pipeline'}; wanted one, by --subject"
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(plot(lines))
    typer.echo(out)


if __name__ == "__main__":
    typer.run(main)
