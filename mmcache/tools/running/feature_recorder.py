"""Records what a denoiser's deep features do from step to step of a full run.

Of a feature counts what a cached step gets from it: of a transformer's what the deep blocks add.
"""

import copy
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mmcache.clocks.clock import StepClock
from mmcache.engine.caching_scheduler import CachingScheduler
from mmcache.plans.forecast import Feature, Hold
from mmcache.plans.plan import Plan
from mmcache.plans.policy import Uniform

TINY = 1e-12  # a feature of zeros is like nothing


def recording_plan(pipe: Any, branches: Sequence[int], steps: int) -> Plan:
    """Every step full, with the features of all these branches.

    Args:
        pipe: whose sampler may run more steps than it is asked for, as PNDM and Heun do.
        branches: at least one.
        steps: `num_inference_steps`.
    """
    if len(branches) == 1:
        return Plan(Uniform(1), Hold(), branches[0])
    scheduler = copy.deepcopy(pipe.scheduler)
    scheduler.set_timesteps(steps)
    count = len(scheduler.timesteps)
    return Plan(Uniform(1), Hold(), [branches[step % len(branches)] for step in range(count)])


class FeatureRecorder:
    """Keeps the features of all steps of one run, and of each run only their inner products.

    These are a matrix of steps by steps, the same size for every model.

    Args:
        scheduler: of the denoiser, under a plan whose branches are recorded and whose steps are all full.

    Attributes:
        times: the sampler's time at each step of the first run.
    """

    def __init__(self, scheduler: CachingScheduler) -> None:
        self.times: list[float] = []
        self._timed = scheduler.plan.branches[0]
        self._products: dict[int, list[np.ndarray]] = defaultdict(list)
        self._features: dict[tuple[int, int], list[torch.Tensor]] = defaultdict(list)
        self._scheduler = scheduler
        scheduler.on_feature = self._keep

    def _keep(self, clock: StepClock, lane: int, branch: int, feature: Feature) -> None:
        if clock.step == 0 and self._features[lane, branch]:
            self._finish(lane, branch)
        if lane == 0 and branch == self._timed and not self._products:
            self.times.append(clock.time)
        slot = self._scheduler.run.views.cuts[branch].slot
        whole = torch.cat([tensor.flatten() for tensor in slot.added(feature)])
        self._features[lane, branch].append(whole.to("cpu", torch.float32))

    def finish(self) -> None:
        """After the last run."""
        for lane, branch in list(self._features):
            self._finish(lane, branch)

    def _finish(self, lane: int, branch: int) -> None:
        features = torch.stack(self._features.pop((lane, branch)))
        products = (features @ features.T).double() / features.shape[1]
        self._products[branch].append(products.numpy())

    def gram(self) -> dict[int, np.ndarray]:
        """By branch, the mean inner products of the features of all pairs of steps, (steps, steps)."""
        return {branch: np.mean(found, axis=0) for branch, found in self._products.items()}

    def cosines(self) -> dict[int, np.ndarray]:
        """By branch, the cosines of the features of all pairs of steps, (steps, steps): means over runs."""
        return {
            branch: np.mean([cosines_of(products) for products in found], axis=0)
            for branch, found in self._products.items()
        }


def cosines_of(products: np.ndarray) -> np.ndarray:
    """From inner products of vectors to cosines, both (N, N)."""
    sizes = np.sqrt(np.diagonal(products)).clip(min=TINY)
    return products / sizes[:, None] / sizes[None, :]
