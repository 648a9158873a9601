"""The plan with the least predicted error at a cost: full steps, then the forecast between them."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from mmcache.plans.branch import NOTHING
from mmcache.plans.forecast import Forecast, Taylor
from mmcache.tools.calibrating.run_model import RunModel
from mmcache.tools.tuning.candidates import Method
from mmcache.tools.tuning.error_model import ErrorModel
from mmcache.tools.tuning.schedule import Schedule, full_steps, with_full
from mmcache.tools.tuning.search import best_spacing, improved

SHARES = (0.0, 0.5, 1.0)  # of the errors that are repaid
FITTED = (Method(2, fitted=True),)  # those of three values lost 1 to 4 dB of it on other images


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
    moved, one by one, as long as the predicted error of the whole run falls. Which forecast goes with them is
    decided by what is predicted for images that are hard.
    """
    means = error_model(model)
    start = with_full(model.steps, best_spacing(means, count, NOTHING), NOTHING)
    found = [with_share(model, start, share) for share in SHARES]
    schedule = with_full(model.steps, list(max(found, key=lambda one: one.decibels).full), NOTHING)
    hard = model.of_hard_images
    found = [one._replace(decibels=hard.decibels(one.full, one.forecast)) for one in found]
    found += [left_out(hard, schedule, method) for method in FITTED]
    best = max(found, key=lambda one: one.decibels)
    return best._replace(decibels=model.decibels(best.full, best.forecast))


def with_share(model: RunModel, start: Schedule, share: float) -> Planned:
    """The schedule that suits extrapolation with this share repaid, found from another one."""
    forecast = Taylor(1, repaid=share)

    @cache
    def error(schedule: Schedule) -> float:
        return -model.decibels(full_steps(schedule), forecast)

    best = improved(start, NOTHING, error)
    return Planned(tuple(full_steps(best)), forecast, -error(best))


def left_out(model: RunModel, schedule: Schedule, method: Method) -> Planned:
    """Fitted weights, judged image by image by those that were fitted to the others."""
    full, images = full_steps(schedule), range(len(model.grams))
    if len(images) < 2:
        return Planned(tuple(full), Taylor(1), -np.inf)

    def fitted(part: RunModel) -> Forecast:
        return method.forecast(error_model(part), schedule)

    others = [fitted(model.only([other for other in images if other != image])) for image in images]
    found = [
        model.only([image]).decibels(full, forecast) for image, forecast in zip(images, others, strict=True)
    ]
    return Planned(tuple(full), fitted(model), float(np.mean(found)))


def error_model(model: RunModel) -> ErrorModel:
    """The means over the images, and how much each step's error reaches the result."""
    mean = model.grams.mean(axis=0)
    return ErrorModel(model.times, {NOTHING: mean}, {NOTHING: np.abs(model.responses[-1])})


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
    """Each cost with its number of full steps."""
    return [(cost, full_count(steps, cost)) for cost in costs]
