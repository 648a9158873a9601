"""Searches the schedule with the least predicted error, without running anything."""

from collections.abc import Callable, Iterator

import numpy as np

from mmcache.tools.tuning.error_model import ErrorModel
from mmcache.tools.tuning.schedule import Schedule, full_steps, with_full

FARTHEST_MOVE = 3  # steps


def evenly_spaced(total: int, count: int) -> list[int]:
    """Full steps at even distances, the first step among them."""
    return [round(index * total / count) for index in range(count)]


def best_spacing(model: ErrorModel, count: int, branch: int) -> list[int]:
    """The full steps whose cached steps have the least sum of squared errors of their own.

    Dynamic programming over steps: what a gap between two full steps costs depends on them and on the full
    step before, for extrapolation from two features. What it leaves out (signs, more features) is for
    `improved`.

    Args:
        count: how many full steps; the first step is one.
    """
    total = model.steps
    gap = _gap_costs(model, branch)
    # best[j][i]: of full steps ending with i, j; i == j: only one so far
    best = np.full((total, total), np.inf)
    best[0, 0] = 0.0
    parents = []
    for _ in range(count - 1):
        longer, parent = np.full((total, total), np.inf), np.zeros((total, total), int)
        for last in range(total):
            for following in range(last + 1, total):
                through = best[: last + 1, last] + gap[: last + 1, last, following]
                parent[last, following] = int(through.argmin())
                longer[last, following] = through.min()
        parents.append(parent)
        best = longer
    ends = best + np.array([[gap[i, j, total] for j in range(total)] for i in range(total)])
    before, last = divmod(int(ends.argmin()), total)
    steps = [last]
    for parent in reversed(parents):
        steps.append(before)
        before, last = int(parent[before, last]), before
    return sorted(set(steps))


def _gap_costs(model: ErrorModel, branch: int) -> np.ndarray:
    """[i, j, k]: of the cached steps between full steps j and k, where i was the full step before j."""
    total = model.steps
    costs = np.full((total, total, total + 1), np.inf)
    for j in range(total):
        for i in range(j + 1):
            if i == j and j > 0:
                continue  # two different full steps, except at the start
            found = [j] if model.times[i] == model.times[j] else [i, j]  # PNDM and Heun repeat times
            each = [model.step_error(branch, step, found) for step in range(j + 1, total)]
            costs[i, j, j + 1 :] = np.concatenate([[0.0], np.cumsum(each)])
    return costs


def neighbours(schedule: Schedule, branch: int) -> Iterator[Schedule]:
    """All schedules in which one full step but the first is moved a little."""
    full = full_steps(schedule)
    for step in full[1:]:
        for move in range(-FARTHEST_MOVE, FARTHEST_MOVE + 1):
            place = step + move
            if 0 < place < len(schedule) and place not in full:
                yield with_full(len(schedule), [place if s == step else s for s in full], branch)


def improved(start: Schedule, branch: int, error: Callable[[Schedule], float]) -> Schedule:
    """The schedule at the bottom of the valley: full steps are moved, one by one, the best move first."""
    least = error(start)
    while True:
        errors = [(error(schedule), schedule) for schedule in neighbours(start, branch)]
        found, schedule = min(errors, key=lambda pair: pair[0], default=(least, start))
        if found >= least:
            return start
        least, start = found, schedule
