"""Records the deep features of a pipeline from step to step, and how much their errors matter."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mmcache.api.accelerate import accelerate
from mmcache.engine.caching_scheduler import CachingScheduler
from mmcache.plans.forecast import Taylor
from mmcache.plans.plan import Plan
from mmcache.plans.policy import StepMask
from mmcache.tools.running.feature_recorder import FeatureRecorder, recording_plan
from mmcache.tools.tuning.error_model import ErrorModel
from mmcache.tools.tuning.runs import Trials
from mmcache.tools.tuning.schedule import StepCosts, full_steps, sources, with_full

PROBES = 12  # steps at which the reach of an error is measured; between them it is interpolated
TINY = 1e-12  # where nothing changed, there is nothing to divide by


def record(trials: Trials, name: str, branches: Sequence[int], steps: int) -> tuple[ErrorModel, StepCosts]:
    """Run the prompts in full once, and then with one cached step at a time.

    Args:
        trials: the prompts.
        name: of the denoiser in the pipeline.
        branches: for which features are recorded.
        steps: `num_inference_steps`; some samplers run more, and the error model has them all.

    Raises:
        ValueError: its multiply-adds cannot be counted.
    """
    names = "-".join(map(str, branches))
    found = trials.journal.arrays(f"recording-{names}", lambda: _recorded(trials, name, branches, steps))
    times = [float(time) for time in found["times"]]
    gram = {branch: found[f"gram-{branch}"] for branch in branches}
    costs = StepCosts(int(found["full-macs"]), {branch: int(found[f"macs-{branch}"]) for branch in branches})
    model = ErrorModel(times, gram, {branch: np.ones(len(times)) for branch in branches})
    reach = {branch: measured_reach(trials, model, branch) for branch in branches}
    return replace(model, reach=reach), costs


def _recorded(trials: Trials, name: str, branches: Sequence[int], steps: int) -> dict[str, np.ndarray]:
    """Run the prompts in full: the sampler's times, the products of features, the multiply-adds of a step."""
    with accelerate(trials.pipe, recording_plan(trials.pipe, branches, steps)) as session:
        recorder = FeatureRecorder(session.denoisers[name])
        trials.keep_full(trials.generate())
        recorder.finish()
        costs = _step_costs(session.denoisers[name], branches)
    gram = recorder.gram()
    return {
        "times": np.array(recorder.times),
        "full-macs": np.array(costs.full),
        **{f"gram-{branch}": gram[branch] for branch in branches},
        **{f"macs-{branch}": np.array(costs.cached[branch]) for branch in branches},
    }


def _step_costs(scheduler: CachingScheduler, branches: Sequence[int]) -> StepCosts:
    """The multiply-adds of a step of the last run, all its calls together."""
    forms = [call.signature for call in scheduler.run.calls if call.clock.step == 0]
    macs_of = scheduler.macs_of(scheduler.run)

    def macs(branch: int | None) -> int:
        counts = [macs_of(form, branch) for form in forms]
        if None in counts:
            raise ValueError(
                f"the multiply-adds of this {type(scheduler.model).__name__} cannot be counted, so no plan "
                f"can be made for a share of them"
            )
        return sum(count for count in counts if count is not None)

    return StepCosts(macs(None), {branch: macs(branch) for branch in branches})


def measured_reach(trials: Trials, model: ErrorModel, branch: int) -> np.ndarray:
    """For each step, how much an error of its feature changes the result: both as root mean squares.

    Args:
        model: with a reach of 1 everywhere.
    """
    steps, full = model.steps, trials.full
    probed = np.unique(np.linspace(2, steps - 1, min(PROBES, steps - 2)).round().astype(int))
    found = []
    for step in probed:
        schedule = with_full(steps, [s for s in range(steps) if s != step], branch)
        (off,) = trials.measured(
            "error",
            Plan(StepMask(full_steps(schedule)), Taylor(1), branch),
            lambda images: [rms(images - full)],
        )
        caused = model.step_error(branch, step, sources(schedule, model.times, 2)[step]) ** 0.5
        found.append(off / max(caused, TINY))
    return np.exp(np.interp(np.arange(steps), probed, np.log(np.maximum(found, TINY))))


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.square(values).mean()))
