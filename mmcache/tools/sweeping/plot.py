"""The Pareto plot of a sweep: how much is saved, against how close the images stay."""

from collections.abc import Sequence
from typing import Any

from mmcache.tools.media.plots import empty_canvas, png_bytes
from mmcache.tools.quality.figures import Figure
from mmcache.tools.sweeping.points import Look, Point, counts_macs, looks, pareto_front, points
from mmcache.tools.sweeping.result import Sweep

MARKERS = ("o", "s", "^", "D", "v", "P", "X")  # by branch
DASHES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))  # by policy
FRONT, GRID, INK = "#ffd43b", "#e9ecef", "#16181d"
MOST_PANELS = 2
ROOM = 0.25  # of the range, for confidence intervals above and below: wider ones are cut off


def pareto_png(sweep: Sweep) -> bytes:
    """The plot as a PNG."""
    return png_bytes(pareto_figure(sweep))


def pareto_figure(sweep: Sweep) -> Any:
    """A panel for the first figure, and one for the first that does not compare with the full run, if any."""
    shown = panels(sweep)
    canvas = empty_canvas(figsize=(6.6 * len(shown) + 2.9, 5.6), layout="constrained")
    axes: Any = canvas.subplots(1, len(shown), squeeze=False)[0]
    for axis, figure in zip(axes, shown, strict=True):
        draw_panel(axis, sweep, figure)
    handles, names = axes[0].get_legend_handles_labels()
    canvas.legend(handles, names, loc="outside right upper", frameon=False, fontsize=8.5)
    return canvas


def panels(sweep: Sweep) -> list[Figure]:
    """The figures that are plotted."""
    first, *others = sweep.shown_figures
    return [first, *[figure for figure in others if figure.of_full]][:MOST_PANELS]


def draw_panel(axis: Any, sweep: Sweep, figure: Figure) -> None:
    """One figure against what is saved."""
    found = points(sweep, figure)
    best = pareto_front(found, figure.higher_is_better)
    axis.plot(
        [point.x for point in best],
        [point.y for point in best],
        color=FRONT,
        linewidth=7,
        alpha=0.55,
        solid_capstyle="round",
        label="Pareto front",
        zorder=1,
    )
    for series, look in looks(sweep).items():
        own = sorted((point for point in found if point.result.series == series), key=lambda point: point.x)
        if not own:
            continue
        across, up = [point.x for point in own], [point.y for point in own]
        axis.plot(across, up, label=series, **style(look))
        axis.errorbar(across, up, [point.margin for point in own], **bars(look))
    if figure.of_full and figure.name in sweep.full.figures:
        full = sweep.full.figures[figure.name].value
        axis.axhline(full, color=INK, linewidth=1, linestyle=":", label=f"full run: {figure.title}")
    for point in best:
        if point.result.interval:
            axis.annotate(
                f"N={point.result.interval}",
                (point.x, point.y),
                xytext=(6, 6),
                textcoords="offset points",
                fontsize=8,
                color=INK,
            )
    axis.set_ylim(*vertical_limits(found, axis))
    axis.margins(x=0.07)
    axis.set_xlabel("times fewer multiply-adds" if counts_macs(sweep) else "speed-up of the whole call")
    axis.set_ylabel(figure.title)
    axis.grid(color=GRID)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def vertical_limits(found: Sequence[Point], axis: Any) -> tuple[float, float]:
    """So that the means are told apart, also where few images make intervals wide."""
    means = [point.y for point in found]
    low, high = min(means), max(means)
    room = ROOM * (high - low) or 0.5
    bottom, top = axis.get_ylim()
    return max(bottom, low - room), min(top, high + room)


def style(look: Look) -> dict[str, Any]:
    """For matplotlib. Control configurations are drawn over the others, with crosses."""
    control = look.policy < 0
    filled = control or look.branch == 0
    return {
        "color": look.color,
        "linestyle": (0, (2, 2)) if control else DASHES[look.policy % len(DASHES)],
        "marker": "X" if control else MARKERS[look.branch % len(MARKERS)],
        "markerfacecolor": look.color if filled else "white",
        "markersize": 7 if control else 6,
        "linewidth": 1.4,
        "zorder": 4 if control else 3,
    }


def bars(look: Look) -> dict[str, Any]:
    """Confidence intervals, behind the markers and fainter."""
    return {"fmt": "none", "ecolor": look.color, "elinewidth": 0.9, "alpha": 0.35, "zorder": 2}
