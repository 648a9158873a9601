"""Records what a pipeline's deep features do from step to step, and how much their errors matter."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from mmcache.acceleration import accelerate
from mmcache.clocks.clock import StepClock
from mmcache.cuts.cut import Feature
from mmcache.engine.caching_scheduler import CachingScheduler
from mmcache.plans.forecast import Taylor
from mmcache.plans.plan import Plan
from mmcache.plans.policy import StepMask, Uniform
from mmcache.tuning.error_model import ErrorModel
from mmcache.tuning.runs import Trials
from mmcache.tuning.schedule import Prices, full_steps, sources, with_full

PROBES = 12  # steps at which the reach of an error is measured; between them it is interpolated
TINY = 1e-12  # where nothing changed, there is nothing to divide by


class Recorder:
    """Collects the features of all steps of one run after the other, and their inner products."""

    def __init__(self, branch: int) -> None:
        self.times: list[float] = []
        self._timed = branch
        self._products: dict[int, list[np.ndarray]] = defaultdict(list)
        self._features: dict[tuple[int, int], list[torch.Tensor]] = defaultdict(list)

    def keep(self, clock: StepClock, lane: int, branch: int, feature: Feature) -> None:
        if clock.step == 0 and self._features[lane, branch]:
            self._finish(lane, branch)
        if lane == 0 and branch == self._timed and not self._products:
            self.times.append(clock.time)
        whole = torch.cat([tensor.flatten() for tensor in feature])
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
        """By branch, the mean inner products of the features of all pairs of steps."""
        return {branch: np.mean(found, axis=0) for branch, found in self._products.items()}


def record(trials: Trials, name: str, branches: Sequence[int], steps: int) -> tuple[ErrorModel, Prices]:
    """Run the prompts in full once, and then with one cached step at a time.

    Args:
        trials: the prompts.
        name: of the denoiser in the pipeline.
        branches: for which features are recorded.
        steps: of a run.

    Raises:
        ValueError: its multiply-adds cannot be counted.
    """
    recorder = Recorder(branches[0])
    every = [branches[step % len(branches)] for step in range(steps)]
    with accelerate(trials.pipe, Plan(Uniform(1), Taylor(1), every)) as session:
        session.denoisers[name].on_feature = recorder.keep
        _ = trials.full
        recorder.finish()
        prices = _prices(session.denoisers[name], branches)
    flat = {branch: np.ones(steps) for branch in branches}
    model = ErrorModel(recorder.times, recorder.gram(), flat)
    reach = {branch: measured_reach(trials, model, branch) for branch in branches}
    return replace(model, reach=reach), prices


def _prices(scheduler: CachingScheduler, branches: Sequence[int]) -> Prices:
    """The multiply-adds of a step of the last run, all its calls together."""
    forms = [call.signature for call in scheduler.run.calls if call.clock.step == 0]

    def price(branch: int | None) -> int:
        counts = [scheduler.macs(form, branch) for form in forms]
        if None in counts:
            raise ValueError(
                f"the multiply-adds of this {type(scheduler.model).__name__} cannot be counted, so no plan "
                f"can be made for a share of them"
            )
        return sum(count for count in counts if count is not None)

    return Prices(price(None), {branch: price(branch) for branch in branches})


def measured_reach(trials: Trials, model: ErrorModel, branch: int) -> np.ndarray:
    """For each step, how much an error of its feature changes the result: both as root mean squares.

    Args:
        model: with a reach of 1 everywhere.
    """
    steps = model.steps
    probed = np.unique(np.linspace(2, steps - 1, min(PROBES, steps - 2)).round().astype(int))
    found = []
    for step in probed:
        schedule = with_full(steps, [s for s in range(steps) if s != step], branch)
        pictures = trials.by_plan(Plan(StepMask(full_steps(schedule)), Taylor(1), branch))
        caused = model.step_error(branch, step, sources(schedule, model.times, 2)[step]) ** 0.5
        found.append(np.sqrt(np.square(pictures - trials.full).mean()) / max(caused, TINY))
    return np.exp(np.interp(np.arange(steps), probed, np.log(np.maximum(found, TINY))))
