"""How far a plan's result will be from the full one, predicted without running it.

While a run is recorded, the inner products of the deep features of all its steps are kept: a matrix of
steps by steps, the same size for every model. A cached step puts a weighted sum of earlier features in
place of its own. So its error is a combination of recorded features, and so is the sum of the errors of
all steps, each multiplied by how much of it reaches the end (`reach`). The matrix tells how large both are.

The errors of a run add up with their signs. On the text-to-image miniature (50 steps, intervals 2, 3 and 5,
holding and extrapolating) the size of the sum put plans in the order of their PSNR, which ran from 37 to
62 dB, and the sum of sizes alone did not; so both count, the first most.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from mmcache.plans.forecast import lagrange_weights
from mmcache.tuning.schedule import Schedule, cached_steps, sources

Weights = dict[int, np.ndarray]
"""For each cached step, how much each of its sources counts, oldest first."""

ALONE = 0.2  # how much the steps' own errors count beside their sum
# How strongly fitted weights are held to extrapolation, as a share of the features' mean square: what the
# recording cannot tell apart from chance is left as it is.
CAUTION = 1e-5


@dataclass(frozen=True, eq=False)
class ErrorModel:
    """What was recorded.

    Attributes:
        times: the sampler's time at each step.
        gram: by branch, mean inner products of the features of all pairs of steps, (steps, steps).
        reach: by branch, for each step, how much an error of its feature changes the result.
    """

    times: Sequence[float]
    gram: Mapping[int, np.ndarray]
    reach: Mapping[int, np.ndarray]
    _roots: dict[int, np.ndarray] = field(default_factory=dict, repr=False)

    @property
    def steps(self) -> int:
        return len(self.times)

    def root(self, branch: int) -> np.ndarray:
        """R with R^T R = gram: features as columns of few numbers, at the same angles."""
        if branch not in self._roots:
            values, vectors = np.linalg.eigh(self.gram[branch])
            self._roots[branch] = np.sqrt(values.clip(min=0))[:, None] * vectors.T
        return self._roots[branch]

    def sources(self, schedule: Schedule, step: int, memory: int) -> list[int]:
        """The steps whose features a cached step reuses, oldest first."""
        return sources(schedule, step, self.times, memory)

    def extrapolated(self, schedule: Schedule, order: int) -> Weights:
        """The weights of `Taylor(order)`, of `Hold` for order 0."""
        return {
            step: np.array(lagrange_weights(self.times[step], [self.times[s] for s in found]))
            for step in cached_steps(schedule)
            for found in [self.sources(schedule, step, order + 1)]
        }

    def error(self, schedule: Schedule, weights: Weights) -> float:
        """The predicted error of the result, in the unit of `reach`."""
        total = 0.0
        for branch in {b for b in schedule if b is not None}:
            errors = np.array(
                [
                    self.reach[branch][step] * self._one_error(schedule, step, w)
                    for step, w in weights.items()
                    if schedule[step] == branch
                ]
            )
            total += np.square(errors.sum(axis=0)).sum() + ALONE * np.square(errors).sum()
        return float(np.sqrt(total))

    def _one_error(self, schedule: Schedule, step: int, weights: np.ndarray) -> np.ndarray:
        root = self.root(schedule[step])  # type: ignore[arg-type]
        return root[:, step] - root[:, self.sources(schedule, step, len(weights))] @ weights

    def step_error(self, branch: int, step: int, found: Sequence[int]) -> float:
        """The squared share of one cached step in the error, extrapolated from these steps."""
        weights = np.array(lagrange_weights(self.times[step], [self.times[s] for s in found]))
        root = self.root(branch)
        return float(
            self.reach[branch][step] ** 2 * np.square(root[:, step] - root[:, found] @ weights).sum()
        )

    def fitted(self, schedule: Schedule, memory: int) -> Weights:
        """The weights that make the predicted error least, all steps' at once.

        Later steps make up for what earlier ones have missed. It is a linear least squares problem; weights
        are held to those of `Taylor(memory - 1)`.
        """
        weights = self.extrapolated(schedule, memory - 1)
        for branch in {b for b in schedule if b is not None}:
            steps = [step for step in weights if schedule[step] == branch]
            self._fit(schedule, weights, branch, steps)
        return weights

    def _fit(self, schedule: Schedule, weights: Weights, branch: int, steps: list[int]) -> None:
        root, reach = self.root(branch), self.reach[branch]
        scale = np.trace(self.gram[branch]) / self.steps
        ends = np.cumsum([0] + [len(weights[step]) for step in steps])
        columns = np.concatenate(
            [reach[step] * root[:, self.sources(schedule, step, len(weights[step]))] for step in steps],
            axis=1,
        )
        missing = np.stack([reach[step] * self._one_error(schedule, step, weights[step]) for step in steps])
        normal, right = columns.T @ columns, columns.T @ missing.sum(axis=0)
        for index, (start, end) in enumerate(pairwise(ends)):
            own = columns[:, start:end]
            normal[start:end, start:end] += ALONE * own.T @ own
            right[start:end] += ALONE * own.T @ missing[index]
            held = CAUTION * scale * reach[steps[index]] ** 2
            normal[start:end, start:end] += held * np.eye(end - start)
        change = np.linalg.solve(normal, right)
        for index, step in enumerate(steps):
            weights[step] = weights[step] + change[ends[index] : ends[index + 1]]
