"""The one engine for all architectures: decides each step once, keeps features and hands them out.

It stands around the denoiser's forward. Per call it asks the clock where sampling stands and, on the first
call of a step, the policy whether the step is full. Then it calls a view of the model: the whole one with
taps, or its skip branch with the forecast feature in the slot.
"""

import threading
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from mmcache.architectures.component import Denoiser
from mmcache.clocks.clock import Clock, StepClock
from mmcache.clocks.latents import tensors_in
from mmcache.compat.model_settings import ModelSettings
from mmcache.engine.call_macs import CallMacs, MacsLater, MacsOf
from mmcache.engine.call_signature import call_signature, first_tensor, wants_gradients
from mmcache.engine.callbacks import Callbacks
from mmcache.engine.denoiser_calls import DenoiserCalls
from mmcache.engine.few_steps import FewSteps, Once
from mmcache.engine.kept_output import is_answered_by_output
from mmcache.engine.lanes import Origin
from mmcache.engine.lazy_tensor import materialized_call
from mmcache.engine.leaves import conditioning_of
from mmcache.engine.record import Stopwatch
from mmcache.engine.run import Ahead, Call, Run, no_residuals
from mmcache.engine.run_beginnings import RunBeginnings
from mmcache.engine.run_views import Forward, RunViews
from mmcache.engine.step import Step
from mmcache.engine.verification import CutVerification
from mmcache.layouts.cut import Cut
from mmcache.macs.count import shapes_of
from mmcache.patching.forward_patch import below
from mmcache.plans.branch import NOTHING
from mmcache.plans.forecast import Feature, Total
from mmcache.plans.plan import Plan


class CachingScheduler:
    """Drives one denoiser of one pipeline by one plan.

    Args:
        part: the denoiser, and what describes it.
        plan: what to do.
        clock: tells the steps.

    Attributes:
        run: the last run that has begun.
        enabled: False passes every call through unchanged.
        on_feature: called with step, lane, branch and feature whenever a feature is kept, for calibration.
        callbacks: what is called when a run begins, is left, or a call fails.
        heard: whether any call of the model has come since a run of the owner has begun.
        passed: whether calls have passed unchanged since the last run, of which nothing is known then.

    Raises:
        UnsupportedPipelineError: a module that has to be copied has a forward that cannot be repeated.
    """

    def __init__(self, part: Denoiser, plan: Plan, clock: Clock) -> None:
        self.part = part
        self.model, self.adapter = part.model, part.adapter
        self.plan = plan
        self.clock = clock
        self.enabled = True
        self.on_feature: Callable[[StepClock, int, int, Feature], None] | None = None
        self.callbacks = Callbacks()
        self.passed = self.heard = False
        self.verification = CutVerification(needed=part.adapter.inferred or part.has_own_forward)
        self._macs = CallMacs(self.model, part.adapter, compiled=part.is_compiled)
        self._few_steps, self._once = FewSteps(), Once()
        self._calls = DenoiserCalls(self.model, plan, self.verification, self._few_steps)
        self._runs_begin = RunBeginnings(part, plan, self.verification)
        # One run per thread: in a loop of one's own, several threads may call one denoiser.
        self._of_thread = threading.local()
        self._runs: weakref.WeakSet[Run] = weakref.WeakSet()
        views = RunViews(self.model, self.adapter, plan.cut_branches)
        part.check_views(plan.cut_branches, views.check)
        self.run = Run(0, views, ModelSettings(self.model))

    def __call__(self, forward: Forward, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Stands around the denoiser's forward; returns what it returns."""
        self.heard = True
        deputy = self.callbacks.deputy(self.model)
        if deputy is not None:
            return deputy(forward, args, kwargs)
        self.passed |= not self.enabled
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
            if run.aside:
                return materialized_call(forward, args, kwargs)
            step = run.begin_step(clock)
            self._decide(run, step, self._sample(arguments))
            if run.aside:  # since this step
                return materialized_call(forward, args, kwargs)
            inner = below(forward, CachingScheduler)
            as_it_came = partial(materialized_call, inner, args, kwargs)
            result = self._compute(run, step, inner, arguments, as_it_came)
            self.clock.returned(result)
            return result
        except BaseException:
            self.callbacks.failed()  # also on Ctrl-C: nobody may come back for the run
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
        clock = self.clock.tick(timestep, sample, self.part.is_hooked) if self.enabled else None
        if clock is None:
            return None
        run = self._run_of(clock)
        if run.aside:
            return None
        step = run.begin_step(clock)
        seen = run.change.full_input
        if self.plan.policy.needs_change and seen is not None and seen.shape != sample.shape:
            return Ahead(run, step, None)  # such a policy compares inputs of the denoiser only
        full, branch = self._decide(run, step, sample), self.plan.branch_at(clock.step)
        if full or not step.next_has(branch):
            return Ahead(run, step, None)
        return Ahead(run, step, no_residuals if branch == NOTHING else run.views.cuts[branch].residuals)

    def macs_of(self, run: Run) -> MacsOf:
        """Gives the multiply-adds of a run's calls, by their forms; None if they cannot be counted."""
        return lambda form, branch: self._macs.of(form, run.shapes[form], branch)

    def macs_later(self, run: Run) -> MacsLater:
        """The same for a run that is over; it keeps nothing alive, and is for later."""
        return self._macs.later(run.shapes)

    @property
    def runs(self) -> list[Run]:
        """Those of all threads that may go on, and the last one."""
        return list(self._runs)

    def forget_run(self) -> None:
        """Hold nothing more of this thread's runs, of which one was interrupted."""
        for run in self._runs_here:
            run.clear_features()
            run.views.forget()

    def clear_features(self) -> None:
        """Hold nothing more, of any run."""
        for run in list(self._runs):
            run.clear_features()

    @property
    def _runs_here(self) -> list[Run]:
        """The runs of this thread that may go on; one, unless they are told by timesteps alone."""
        runs: list[Run] = getattr(self._of_thread, "runs", [])
        return runs

    def _run_of(self, clock: StepClock) -> Run:
        self.passed = False
        run = next((run for run in self._runs_here if run.number == clock.run), None)
        return self._begin_run(clock) if run is None else run

    def _begin_run(self, clock: StepClock) -> Run:
        self.plan.check_total(clock.total)
        for sentence in self.plan.without_effect(clock.total) if clock.total else ():
            self._once.say(sentence)
        if clock.total == 1:
            self._few_steps.warn(clock.total)
        run = self._runs_begin.begin(clock.run, self.run.views)
        self._macs.begin_run()
        self._runs.add(run)
        runs = [*self._runs_here, run]
        self._of_thread.runs = runs[-self.clock.runs_at_once :]
        for left in runs[: -self.clock.runs_at_once]:
            self.callbacks.left(left)
        self.run = run
        self.callbacks.begun()
        return run

    def _sample(self, arguments: dict[str, Any]) -> torch.Tensor:
        return first_tensor(self.part.sample_of(arguments))

    def _tick(self, arguments: dict[str, Any]) -> StepClock | None:
        timestep = None if self.adapter.timestep is None else arguments[self.adapter.timestep]
        clock = self.clock.tick(timestep, self.part.sample_of(arguments), self.part.is_hooked)
        # A loop without a scheduler does not tell how many steps there are.
        return None if clock is not None and clock.total is None and self.plan.needs_total else clock

    def _decide(self, run: Run, step: Step, sample: torch.Tensor) -> bool:
        """Whether a step is full; asked once per step, for all of its lanes that are still to come."""
        if run.hooks != run.hooks_now:  # before this call alone, perhaps
            self._runs_begin.look_again(run)
        if run.readers or run.aside or self.verification.failure or not step.clock.sure:
            step.full = True
        return run.decide(step, sample, lambda change: self.plan.policy.is_full(step.clock, change))

    def _compute(
        self, run: Run, step: Step, forward: Forward, arguments: dict[str, Any], plain: Callable[[], Any]
    ) -> Any:
        """Run a call and note it; `plain` is the call as it came, where the model need not be cut."""
        form = signature, switches = call_signature(arguments), tuple(step.conditions.items())
        sample = self._sample(arguments)
        numbers = run.conditioning(conditioning_of(arguments, self.part.not_conditioning))
        conditioning = numbers, *step.side_conditionings.values()
        origin = Origin(signature, conditioning, run.settings.number(), switches)
        latent = tensors_in(self.part.sample_of(arguments))
        lane, missing = step.begin_call(origin, latent, self.clock.is_handed_on)
        planned = None if step.full else self.plan.branch_at(step.clock.step)
        if self.plan.keeps_outputs and not is_answered_by_output(arguments):
            lane.observations.pop(NOTHING, None)
        branch = run.processes.agree(lane.usable(planned, step.clock.step), lane, sample.device)
        call = Call(step, lane, form, planned, branch, missing)
        if form not in run.shapes:  # before the call: models take entries out of lists that they are given
            run.shapes[form] = shapes_of(arguments)
        watch = Stopwatch(sample)
        with self._macs.counting(call.form, call.branch):
            alone = call.branch is None and not run.views.cuts
            result, taps = (plain(), ()) if alone else self._calls.run(run, call, forward, arguments)
            if call.branch is None:
                self._keep_output(call, result, sample)
            for cut in taps:
                self._keep(call, cut, sample, run.processes.total)
            if self.plan.policy.needs_change and len(step.lanes) == 1:
                run.change.seen(call.branch is None, sample, first_tensor(result))
            run.end_call(step, lane)
        run.record(call, watch)
        return result

    def _keep_output(self, call: Call, result: Any, sample: torch.Tensor) -> None:
        """Keep what a full step returned, where the plan forecasts outputs."""
        if self.plan.keeps_outputs:
            feature = call.lane.keep_output(call.step.clock.time, result, self.plan.forecast, sample)
            if feature and self.on_feature:
                self.on_feature(call.step.clock, len(call.step.lanes) - 1, NOTHING, feature)

    def _keep(self, call: Call, cut: Cut, sample: torch.Tensor, total: Total) -> None:
        """Keep what a tap has seen."""
        if not (feature := cut.tap.take(cut.tensors)):
            return
        if self.part.is_compiled:  # copied once more: CUDA graphs use the memory of their outputs again
            feature = tuple(tensor.clone() for tensor in feature)
        call.lane.keep(cut.branch, call.step.clock.time, feature, self.plan.forecast, sample, total)
        if self.on_feature is not None:
            self.on_feature(call.step.clock, len(call.step.lanes) - 1, cut.branch, feature)
