"""Full steps as LeMiCa and DPCache choose them, from their equations, at branch 0.

Both know from runs of other prompts what it costs to leave out the steps between two full ones, and find the
best path through the run. They measure these costs by a run for each gap; here they are predicted from one
full run, by how much a feature's error at each step was seen to reach the result (`mmcache.tools.tuning`).
"""

import functools

import numpy as np

import mmcache
from mmcache.tools.running.requests import image_requests
from mmcache.tools.tuning.error_model import ErrorModel
from mmcache.tools.tuning.recording import record
from mmcache.tools.tuning.runs import Trials
from mmcache.tools.tuning.search import best_spacing
from mmcache_demos.transformers.subjects import Subject

BRANCH = 0
# A sum of such powers is decided by the largest gap, then by the next one: LeMiCa's lexicographic order.
POWER = 8


def dpcache(subject: Subject, full: int) -> mmcache.Plan:
    """DPCache (arXiv 2602.22654): extrapolated features, the path with the least sum of errors, each of which
    depends on the full step before as well.

    Args:
        full: how many steps are full.

    Raises:
        ValueError: the subject has no prompts to calibrate with.
    """
    return _plan(best_spacing(error_model(subject), full, BRANCH), mmcache.Taylor(1))


def lemica(subject: Subject, full: int) -> mmcache.Plan:
    """LeMiCa (arXiv 2511.00090): held features, the path whose worst gap changes the result least.

    Args:
        full: how many steps are full.

    Raises:
        ValueError: the subject has no prompts to calibrate with.
    """
    return _plan(minimax_path(gap_errors(error_model(subject)), full), mmcache.Hold())


def _plan(full: list[int], forecast: mmcache.Forecast) -> mmcache.Plan:
    return mmcache.Plan(mmcache.StepMask(full), forecast, BRANCH)


@functools.cache
def error_model(subject: Subject) -> ErrorModel:
    """Of the subject's calibration prompts."""
    if not (prompts := subject.calibration()):
        raise ValueError("it has no prompts to calibrate with")
    call = {name: value for name, value in subject.call().items() if name not in ("prompt", "generator")}
    settings = call | {"num_inference_steps": subject.steps}
    trials = Trials(subject.make(), image_requests(prompts, 1, first_seed=0), settings, len(prompts))
    return record(trials, "transformer", (BRANCH,), subject.steps)[0]


def gap_errors(model: ErrorModel) -> np.ndarray:
    """How much the result changes if all steps between two full ones hold the first's feature.

    Returns:
        Squared errors, (steps, steps + 1): from each full step to the next, the last column to the end.
    """
    root, reach = model.root(BRANCH), model.reach[BRANCH]
    errors = np.full((model.steps, model.steps + 1), np.inf)
    for first in range(model.steps):
        off = np.cumsum(reach[first:] * (root[:, first:] - root[:, first : first + 1]), axis=1)
        errors[first, first + 1 :] = np.square(off).sum(axis=0)
    return errors


def minimax_path(errors: np.ndarray, count: int) -> list[int]:
    """The path of so many full steps, the first step among them, whose largest gaps are smallest."""
    steps = len(errors)
    costs = (errors / errors[np.isfinite(errors)].max()) ** POWER
    best, parents = np.full(steps, np.inf), []
    best[0] = 0.0
    for _ in range(count - 1):
        through = best[:, None] + costs[:, :steps]
        parents.append(through.argmin(axis=0))
        best = through.min(axis=0)
    path = [int((best + costs[:, steps]).argmin())]
    for parent in reversed(parents):
        path.append(int(parent[path[-1]]))
    return path[::-1]
