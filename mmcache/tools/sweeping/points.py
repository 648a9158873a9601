"""What the plots of a sweep show: a point per configuration, and which points nothing else beats."""

from collections.abc import Sequence
from typing import NamedTuple

from mmcache.tools.quality.figures import Figure
from mmcache.tools.sweeping.configurations import Cached, FewerSteps
from mmcache.tools.sweeping.result import ConfigurationResult, Sweep

COLORS = ("#1c7ed6", "#e8590c", "#2f9e44", "#9c36b5", "#c2255c", "#0b7285", "#846358")
CONTROL, REPEATED = "#16181d", "#868e96"


class Point(NamedTuple):
    """One configuration of the table in a plot.

    Attributes:
        x: how much is saved, in times.
        y: the figure of quality.
        margin: half its confidence interval; 0 where it is not known.
        result: what was measured.
    """

    x: float
    y: float
    margin: float
    result: ConfigurationResult


class Look(NamedTuple):
    """How a series is drawn: colour by forecast, dashes by policy, filled or hollow and shape by branch.

    Attributes:
        color: of line and marker.
        policy: counted from 0; -1 for the control configurations.
        branch: counted from 0.
    """

    color: str
    policy: int
    branch: int


def counts_macs(sweep: Sweep) -> bool:
    """Whether MACs say what is saved; otherwise only seconds do."""
    return all(sweep.fewer_macs(result) is not None for result in sweep.results)


def points(sweep: Sweep, figure: Figure) -> list[Point]:
    """All configurations that have the figure, without the full run."""
    by_macs = counts_macs(sweep)
    found = []
    for result in sweep.results[1:]:
        mean = result.figures.get(figure.name)
        x = sweep.fewer_macs(result) if by_macs else sweep.speed_up(result)
        if mean is not None and x is not None:
            found.append(Point(x, mean.value, mean.margin or 0.0, result))
    return found


def pareto_front(found: Sequence[Point], higher_is_better: bool) -> list[Point]:
    """The Pareto front: the points than which none saves as much and is better, or saves more and is as good.

    In the order of x.
    """
    sign = 1 if higher_is_better else -1
    best: list[Point] = []
    for point in sorted(found, key=lambda point: (-point.x, -sign * point.y)):
        if not best or sign * point.y > sign * best[-1].y:
            best.append(point)
    return best[::-1]


def looks(sweep: Sweep) -> dict[str, Look]:
    """How each series is drawn, in the order of the table."""
    results = {result.series: result for result in sweep.results[1:]}
    policies, forecasts, branches = (
        list(dict.fromkeys(result.traits[index] for result in results.values() if result.traits))
        for index in range(3)
    )
    found = {}
    for series, result in results.items():
        if result.kind != Cached.kind:
            found[series] = Look(CONTROL if result.kind == FewerSteps.kind else REPEATED, -1, 0)
            continue
        policy, forecast, branch = result.traits
        color = COLORS[forecasts.index(forecast) % len(COLORS)]
        found[series] = Look(color, policies.index(policy), branches.index(branch))
    return found
