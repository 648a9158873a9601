"""The one engine for all architectures: decides each step once, keeps features and hands them out.

It stands around the denoiser's forward. Per call it asks the clock where sampling stands and, on the first
call of a step, the policy whether the step is full. Then it calls a view of the model: the whole one with
taps, or its skip branch with the forecast feature in the slot.
"""

import threading
import weakref
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

import torch

from mmcache.architectures.component import Denoiser
from mmcache.clocks.clock import Clock, StepClock
from mmcache.compat.group_offload import learns_order, send_back
from mmcache.compat.other_caches import other_cache
from mmcache.engine.call_macs import CallMacs
from mmcache.engine.call_signature import call_signature, first_tensor, wants_gradients
from mmcache.engine.few_steps import FewSteps
from mmcache.engine.kept_output import is_answered_by_output
from mmcache.engine.lazy_tensor import materialize, materialized_call
from mmcache.engine.run import Ahead, Call, Run, Step, no_residuals
from mmcache.engine.run_views import Forward, RunViews
from mmcache.engine.verification import CutVerification
from mmcache.errors import UnsupportedPipelineError
from mmcache.layouts.cut import Cut, filled
from mmcache.macs.count import shapes_of
from mmcache.patching.forward_patch import below
from mmcache.plans.branch import NOTHING
from mmcache.plans.forecast import Feature
from mmcache.plans.plan import Plan


class CachingScheduler:
    """Drives one denoiser of one pipeline by one plan.

    Args:
        part: the denoiser, and what describes it.
        plan: what to do.
        clock: tells the steps.

    Attributes:
        run: the last sampling run that has begun.
        enabled: False passes every call through unchanged.
        on_feature: called with step, lane, branch and feature whenever a feature is kept, for calibration.
        on_failure: called when a call raises, in its thread: a pipeline's other denoisers hold nothing more.

    Raises:
        UnsupportedPipelineError: a module that has to be copied has a forward that cannot be repeated.
    """

    def __init__(self, part: Denoiser, plan: Plan, clock: Clock) -> None:
        self.part = part
        self.model = part.model
        self.adapter = part.adapter
        self.plan = plan
        self.clock = clock
        self.enabled = True
        self.on_feature: Callable[[StepClock, int, int, Feature], None] | None = None
        self.on_failure: Callable[[], None] = lambda: None
        self.verification = CutVerification(needed=part.adapter.inferred)
        self._macs = CallMacs(self.model, part.adapter, compiled=part.is_compiled)
        self._few_steps = FewSteps()
        # One run per thread: in a loop of one's own, several threads may call one denoiser.
        self._of_thread = threading.local()
        self._runs: weakref.WeakSet[Run] = weakref.WeakSet()
        views = RunViews(self.model, self.adapter, plan.cut_branches)
        views.check()
        self.run = Run(0, views)

    def __call__(self, forward: Forward, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Stands around the denoiser's forward; returns what it returns."""
        arguments = self.part.bind(args, kwargs)
        clock = None
        if self.enabled and not wants_gradients(self.model, arguments):
            clock = self._tick(arguments)
        try:
            if clock is None:
                if below(forward, CachingScheduler) is not forward:  # another session may know the call
                    return forward(*args, **kwargs)
                return materialized_call(forward, args, kwargs)
            run = self._run_of(clock)
            step = run.begin_step(clock)
            self._decide(run, step, self._sample(arguments))
            inner = below(forward, CachingScheduler)
            return self._compute(run, step, inner, arguments, partial(materialized_call, inner, args, kwargs))
        except BaseException:
            self.on_failure()  # also on Ctrl-C: nobody may come back for the run
            raise

    def ahead(self, timestep: Any, sample: torch.Tensor) -> Ahead | None:
        """What the next call of the step to which these arguments belong is going to be.

        For side networks, which are called before the denoiser.

        Args:
            timestep: what the side network is called with.
            sample: likewise.

        Returns:
            None if that call will not be one of a sampling run. It is a forecast: the feature that was to be
            used may turn out not to fit.
        """
        clock = self.clock.tick(timestep, sample) if self.enabled else None
        if clock is None:
            return None
        run = self._run_of(clock)
        step = run.begin_step(clock)
        seen = run.change.full_input
        if self.plan.policy.needs_change and seen is not None and seen.shape != sample.shape:
            return Ahead(run, step, None)  # such a policy compares inputs of the denoiser only
        if self._decide(run, step, sample):
            return Ahead(run, step, None)
        branch = self.plan.branch_at(clock.step)
        if not step.next_has(branch):
            return Ahead(run, step, None)
        return Ahead(run, step, no_residuals if branch == NOTHING else run.views.cuts[branch].residuals)

    def macs(self, form: Hashable, branch: int | None) -> int | None:
        """Multiply-adds of a call of the last run, by its form; None if they cannot be counted."""
        return self._macs.of(form, self.run.shapes[form], branch)

    def forget_run(self) -> None:
        """Hold nothing more of this thread's run, which was interrupted."""
        run: Run | None = getattr(self._of_thread, "run", None)
        if run is not None:
            run.clear_features()
            run.views.forget()

    def clear_features(self) -> None:
        """Hold nothing more, of any run."""
        for run in list(self._runs):
            run.clear_features()

    def _run_of(self, clock: StepClock) -> Run:
        run: Run | None = getattr(self._of_thread, "run", None)
        return run if run is not None and run.number == clock.run else self._begin_run(clock)

    def _begin_run(self, clock: StepClock) -> Run:
        if found := other_cache(self.model):  # enabled since
            raise UnsupportedPipelineError(found)
        self.plan.check_total(clock.total)
        if clock.total == 1:
            self._few_steps.warn(clock.total)
        views = RunViews(self.model, self.adapter, self.plan.cut_branches)
        self._macs.begin_run()
        run = Run(clock.run, views, views.attention_readers(self.plan.keeps_outputs))
        self._runs.add(run)
        self._of_thread.run = self.run = run
        return run

    def _sample(self, arguments: dict[str, Any]) -> torch.Tensor:
        return first_tensor(self.part.sample_of(arguments))

    def _tick(self, arguments: dict[str, Any]) -> StepClock | None:
        timestep = None if self.adapter.timestep is None else arguments[self.adapter.timestep]
        return self.clock.tick(timestep, self.part.sample_of(arguments))

    def _decide(self, run: Run, step: Step, sample: torch.Tensor) -> bool:
        """Whether a step is full; asked once per step, for all of its lanes."""
        if run.readers or self.verification.failure:
            step.full = True
        return run.decide(step, sample, lambda change: self.plan.policy.is_full(step.clock, change))

    def _compute(
        self, run: Run, step: Step, forward: Forward, arguments: dict[str, Any], plain: Callable[[], Any]
    ) -> Any:
        """Run a call and note it; `plain` is the call as it came, where the model need not be cut."""
        form = call_signature(arguments), tuple(step.conditions.items())
        lane = step.begin_call(form)
        planned = None if step.full else self.plan.branch_at(step.clock.step)
        if self.plan.keeps_outputs and not is_answered_by_output(arguments):
            lane.observations.pop(NOTHING, None)
        call = Call(step, lane, form, planned, planned if planned in lane.observations else None)
        sample = self._sample(arguments)
        if form not in run.shapes:  # before the call: models take entries out of lists that they are given
            run.shapes[form] = shapes_of(arguments)
        with run.recorded(call, sample), self._macs.counting(call.form, call.branch):
            if call.branch is None:
                whole = self._run_full(run, call, forward, arguments) if run.views.cuts else (plain(), ())
                result, taps = whole
                self._keep_output(call, result)
            else:
                result, taps = self._run_cached(run, call, call.branch, forward, arguments)
            for cut in taps:
                self._keep(call, cut)
            if self.plan.policy.needs_change and len(step.lanes) == 1:
                run.change.seen(call.branch is None, sample, first_tensor(result))
            run.end_call(lane, step.clock)
        return result

    def _run_full(
        self, run: Run, call: Call, forward: Forward, arguments: dict[str, Any]
    ) -> tuple[Any, tuple[Cut, ...]]:
        """Run the whole model; returns its result and the cuts whose taps have listened."""
        arguments = materialize(arguments)
        whole = run.views.full()
        if not self.verification.is_missing(call.form):
            return whole.call(forward)(**arguments), whole.taps
        before = self.verification.begin(whole.view.module, arguments)
        result = whole.call(forward)(**arguments)
        features = {cut: cut.tap.peek(cut.tensors) for cut in whole.taps}
        # While diffusers learns the order of layers, the calls of a verification would be learned too: this
        # step keeps nothing, and the next one, which is full, is verified.
        if learns_order(self.model):
            run.views.forget()
            return result, ()
        view = whole.view.module
        self.verification.verify(call.form, self.model, view, features, forward, before, result)
        return result, whole.taps

    def _run_cached(
        self, run: Run, call: Call, branch: int, forward: Forward, arguments: dict[str, Any]
    ) -> tuple[Any, tuple[Cut, ...]]:
        """Run a skip branch, or nothing; returns its result and the cuts whose taps have listened."""
        self._few_steps.warn(call.step.clock.total)
        if branch == NOTHING:
            send_back(self.model)
            return call.lane.forecast_output(call.step.clock, self.plan.forecast), ()
        smaller = run.views.cached(branch)
        cut = run.views.cuts[branch]
        feature = call.lane.forecast(branch, call.step.clock, self.plan.forecast)
        with filled(cut.slot, feature):
            return smaller.run(forward, materialize(cut.arguments(arguments))), smaller.taps

    def _keep_output(self, call: Call, result: Any) -> None:
        """Keep what a full step returned, where the plan forecasts outputs."""
        if self.plan.keeps_outputs:
            feature = call.lane.keep_output(call.step.clock.time, result, self.plan.forecast.memory)
            if feature and self.on_feature is not None:
                self.on_feature(call.step.clock, len(call.step.lanes) - 1, NOTHING, feature)

    def _keep(self, call: Call, cut: Cut) -> None:
        """Keep what a tap has seen."""
        feature = cut.tap.take(cut.tensors)
        if not feature:
            return
        if self.part.is_compiled:  # copied once more: CUDA graphs use the memory of their outputs again
            feature = tuple(tensor.clone() for tensor in feature)
        call.lane.keep(cut.branch, call.step.clock.time, feature, self.plan.forecast.memory)
        if self.on_feature is not None:
            self.on_feature(call.step.clock, len(call.step.lanes) - 1, cut.branch, feature)
