"""Weights of forecasts that make a run's predicted error least, those of all steps at once.

A forecast's error is carried on: by the sampler to later latents, by full steps that answer it, by forecasts
from their outputs. The model of the run has all of this, and is differentiable in the weights. So later
forecasts make up for what earlier ones have missed, as `Taylor(repaid=...)` does by a rule.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch

from mmcache.plans.branch import NOTHING
from mmcache.plans.forecast import Fitted, Forecast, Hold, Taylor
from mmcache.tools.calibrating.run_model import TINY, RunModel, decibels, forecast_weights
from mmcache.tools.tuning.candidates import Method
from mmcache.tools.tuning.error_model import ErrorModel
from mmcache.tools.tuning.schedule import Schedule, full_steps, sources

# Strong guidance multiplies errors, and then what is held is closer than what is extrapolated.
RULES = (Hold(), *(Taylor(1, repaid=share) for share in (0.0, 0.5, 0.75, 1.0)))
# What a change of one weight by 1 has to gain, in the mean logarithm of the error. Without, weights lost 1 dB
# of what they gain at 3.5x, and 2 dB at 7x, on other images (text-to-image miniature, guidance 3).
CAUTION = 0.3
ITERATIONS = 100
FOLDS = 4  # at most: the images of each are judged by weights from all others

Reused = Mapping[int, list[int]]
"""For each cached step the full steps whose outputs count there."""


def fitted(model: RunModel, schedule: Schedule, memory: int) -> tuple[Fitted, float]:
    """A forecast with fitted weights, and how far below 1 its error on other images is, in dB.

    Args:
        model: of the run; two images at least.
        schedule: full steps, and others that run nothing.
        memory: of how many full steps each forecast is made.
    """
    reused = sources(schedule, model.times, memory)
    weights = best_weights(model, schedule, reused)
    rows = [
        [round(weights[step, one].item(), 5) for one in reused.get(step, ())] for step in range(model.steps)
    ]
    images, folds = range(model.images), min(FOLDS, model.images)
    found = []
    for fold in range(folds):
        others = model.only([image for image in images if image % folds != fold])
        judged = model.only(images[fold::folds])
        found.append(judged.error(full_steps(schedule), best_weights(others, schedule, reused)))
    return Fitted(rows), decibels(torch.cat(found, dim=1))


def best_weights(model: RunModel, schedule: Schedule, reused: Reused) -> torch.Tensor:
    """Weights near those of the best rule, with the least predicted error, (steps, steps)."""
    full = full_steps(schedule)
    starts = [limited(model, full, forecast, reused) for forecast in forecasts(model, schedule)]
    return least_error(model, full, max(starts, key=lambda start: decibels(model.error(full, start))), reused)


def forecasts(model: RunModel, schedule: Schedule) -> Iterator[Forecast]:
    """Those by a rule, and weights that know the steps' own errors alone."""
    yield from RULES
    yield Method(2, fitted=True).forecast(error_model(model), schedule)


def error_model(model: RunModel) -> ErrorModel:
    """The means over the images, and how much each step's error reaches the result."""
    mean = model.grams.mean(0).numpy()
    return ErrorModel(model.times, {NOTHING: mean}, {NOTHING: model.responses[-1].abs().numpy()})


def limited(model: RunModel, full: Sequence[int], forecast: Forecast, reused: Reused) -> torch.Tensor:
    """The weights of a forecast, (steps, steps); where it reuses more steps than these, extrapolation's."""
    weights, plain = (forecast_weights(model.times, full, one) for one in (forecast, Taylor(1)))
    for step, found in reused.items():
        others = [one for one in range(model.steps) if one not in found]
        if weights[step, others].any():
            weights[step] = plain[step]
    return weights


def least_error(model: RunModel, full: Sequence[int], start: torch.Tensor, reused: Reused) -> torch.Tensor:
    """The weights with the least predicted error near the start; the start where none can be foretold."""
    free = torch.zeros_like(start)
    for step, found in reused.items():
        free[step, found] = 1.0
    change = torch.zeros_like(start).requires_grad_()
    search = torch.optim.LBFGS([change], max_iter=ITERATIONS, history_size=20, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        search.zero_grad()
        errors = model.error(full, start + change * free)
        found = errors.clamp_min(TINY).log().mean() + CAUTION * (change * free).square().sum()
        found.backward()
        return found

    with torch.enable_grad():
        search.step(loss)
    weights = start + change.detach() * free
    return weights if weights.isfinite().all() else start
