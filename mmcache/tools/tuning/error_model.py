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
from typing import NamedTuple

import numpy as np

from mmcache.plans.forecast import lagrange_weights
from mmcache.tools.tuning.schedule import Schedule, sources


class Reuse(NamedTuple):
    """The features that a cached step reuses in place of its own.

    Attributes:
        branch: that it runs.
        steps: whose features it reuses, oldest first.
        weights: how much each of them counts.
    """

    branch: int
    steps: list[int]
    weights: np.ndarray


ALONE = 0.2  # how much the steps' own errors count beside their sum
# How strongly fitted weights are held to extrapolation, as a share of the features' mean square: what the
# recording cannot tell apart from chance is left as it is.
CAUTION = 1e-5


@dataclass(frozen=True, eq=False)
class ErrorModel:
    """The recording, and the predictions from it.

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

    def extrapolated(self, schedule: Schedule, order: int) -> dict[int, Reuse]:
        """The reuse of `Taylor(order)` at each cached step, `Hold` for order 0."""
        return {
            step: Reuse(schedule[step], found, self._extrapolation(step, found))  # type: ignore[arg-type]
            for step, found in sources(schedule, self.times, order + 1).items()
        }

    def _extrapolation(self, step: int, found: Sequence[int]) -> np.ndarray:
        return np.array(lagrange_weights(self.times[step], [self.times[s] for s in found]))

    def error(self, reuse: Mapping[int, Reuse]) -> float:
        """The predicted error of the result, in the unit of `reach`."""
        total = 0.0
        for branch in self.gram:
            errors = [self._share(step, one) for step, one in reuse.items() if one.branch == branch]
            if errors:
                total += np.square(np.sum(errors, axis=0)).sum() + ALONE * np.square(errors).sum()
        return float(np.sqrt(total))

    def _share(self, step: int, reuse: Reuse) -> np.ndarray:
        """The error of one step, as far as it reaches the end."""
        root = self.root(reuse.branch)
        return self.reach[reuse.branch][step] * (root[:, step] - root[:, reuse.steps] @ reuse.weights)

    def step_error(self, branch: int, step: int, found: list[int]) -> float:
        """The squared share of one cached step in the error, extrapolated from these steps."""
        share = self._share(step, Reuse(branch, found, self._extrapolation(step, found)))
        return float(np.square(share).sum())

    def fitted(self, schedule: Schedule, memory: int) -> dict[int, Reuse]:
        """The weights that make the predicted error least, all steps' at once.

        Later steps make up for what earlier ones have missed. It is a linear least squares problem; weights
        are held to those of `Taylor(memory - 1)`.
        """
        reuse = self.extrapolated(schedule, memory - 1)
        for branch in self.gram:
            reuse |= self._fitted_at({step: one for step, one in reuse.items() if one.branch == branch})
        return reuse

    def _fitted_at(self, reuse: dict[int, Reuse]) -> dict[int, Reuse]:
        """Fitted weights of the cached steps at one branch."""
        columns = [
            self.reach[one.branch][step] * self.root(one.branch)[:, one.steps] for step, one in reuse.items()
        ]
        missing = [self._share(step, one) for step, one in reuse.items()]
        if not reuse:
            return {}
        every = np.concatenate(columns, axis=1)
        normal, right = every.T @ every, every.T @ np.sum(missing, axis=0)
        ends = np.cumsum([0, *(own.shape[1] for own in columns)])
        places = [slice(start, end) for start, end in pairwise(ends)]
        for (step, one), own, lacking, place in zip(reuse.items(), columns, missing, places, strict=True):
            scale = np.trace(self.gram[one.branch]) / self.steps * self.reach[one.branch][step] ** 2
            normal[place, place] += ALONE * own.T @ own + CAUTION * scale * np.eye(own.shape[1])
            right[place] += ALONE * own.T @ lacking
        change = np.linalg.solve(normal, right)
        return {
            step: one._replace(weights=one.weights + change[place])
            for (step, one), place in zip(reuse.items(), places, strict=True)
        }
