"""The plan with the least predicted error at a cost: full steps, then the forecast between them."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from mmcache.errors import shown
from mmcache.plans.branch import NOTHING
from mmcache.plans.forecast import Forecast
from mmcache.tools.calibrating.fitted_weights import RULES, error_model, fitted
from mmcache.tools.calibrating.run_model import RunModel
from mmcache.tools.tuning.schedule import Schedule, full_steps, with_full
from mmcache.tools.tuning.search import best_spacing, improved
from mmcache.tools.tuning.target import is_number

MEMORIES = (2, 3)  # of fitted weights
# What a third value has to gain, in dB, beside two. What is predicted of it does not come true where full
# steps are few: at 7x it was to gain 1.8 dB and lost 4 (text-to-image miniature, guidance 3).
DEAR = 2.0


class Planned(NamedTuple):
    """A plan before it was run.

    Attributes:
        full: its full steps.
        forecast: between them.
        decibels: predicted.
    """

    full: tuple[int, ...]
    forecast: Forecast
    decibels: float


def best_plan(model: RunModel, count: int) -> Planned:
    """The best plan with so many full steps, all other steps running nothing.

    Dynamic programming over the steps' own errors finds a schedule (`tuning.search`). From it full steps are
    moved, one by one, as long as the predicted error of the whole run falls, for each forecast by a rule.
    For the best schedule weights are fitted as well; what is predicted of them is for images that they were
    not fitted to.
    """
    start = with_full(model.steps, best_spacing(error_model(model), count, NOTHING), NOTHING)
    found = [by_rule(model, start, rule) for rule in RULES]
    if model.images > 1:
        full = max(found, key=lambda one: one.decibels).full
        schedule = with_full(model.steps, list(full), NOTHING)
        two, three = (Planned(full, *fitted(model, schedule, memory)) for memory in MEMORIES)
        found.append(three if three.decibels > two.decibels + DEAR else two)
    best = max(found, key=lambda one: one.decibels)
    return best._replace(decibels=model.decibels(best.full, best.forecast))


def by_rule(model: RunModel, start: Schedule, forecast: Forecast) -> Planned:
    """The schedule that suits a forecast, found from another one."""

    @cache
    def error(schedule: Schedule) -> float:
        return -model.decibels(full_steps(schedule), forecast)

    best = improved(start, NOTHING, error)
    return Planned(tuple(full_steps(best)), forecast, -error(best))


def full_count(steps: int, cost: float) -> int:
    """How many full steps a run may have that is to take so many times fewer multiply-adds.

    Raises:
        ValueError: not even one.
    """
    if not cost > 1:
        raise ValueError(
            f"costs: {cost:g}: wanted more than 1, such as 2.5 for 2.5 times fewer multiply-adds"
        )
    count = int(steps / cost + 1e-9)
    if count < 1:
        raise ValueError(f"costs: {cost:g} times fewer than {steps} steps is less than one full step")
    return count


def costs_of(costs: Sequence[float], steps: int) -> list[tuple[float, int]]:
    """Each cost with its number of full steps.

    Raises:
        ValueError: no costs, or one that is no number, stands twice, or that no plan has.
    """
    if not isinstance(costs, Sequence) or not costs or not all(map(is_number, costs)):
        raise ValueError(f"costs={shown(costs)}: wanted numbers, such as [2, 2.5, 3.5]")
    if len(set(costs)) < len(costs):
        raise ValueError(f"costs={shown(costs)}: one stands there twice")
    return [(cost, full_count(steps, cost)) for cost in costs]
