"""The one engine for all architectures: decides each step once, keeps features and hands them out.

It stands around the denoiser's forward. Per call it asks the clock where sampling stands and, on the
first call of a step, the policy whether the step is full; then it runs the model whole (with taps) or
only its skip branch (with the forecast feature in the slot).
"""

import inspect
import warnings
from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import torch
from torch import nn

from mmcache.architectures.adapter import Adapter
from mmcache.clocks.clock import Clock, StepClock
from mmcache.compat.attention_readers import attention_readers
from mmcache.compat.group_offload import learns_order
from mmcache.compat.other_caches import other_cache
from mmcache.engine.call_macs import CallMacs
from mmcache.engine.lazy_tensor import materialize
from mmcache.engine.record import CallRecord, Stopwatch
from mmcache.engine.run import DenoiserChange, Lane, Run, first_tensor, signature
from mmcache.engine.verification import Proof
from mmcache.errors import UnsupportedPipelineError
from mmcache.layouts.cut import Cut, Given, cached, tapped
from mmcache.macs.count import shapes_of
from mmcache.patching.forward_patch import below, is_compiled, unwrap_compiled
from mmcache.plans.forecast import Feature
from mmcache.plans.plan import Plan

FEW_STEPS = 8


class Ahead(NamedTuple):
    """What a coming denoiser call is expected to be.

    Attributes:
        run: the sampling run.
        clock: its step.
        residuals: how many of the first residuals of a side network it needs, of one that gives these; None:
            all of them.
    """

    run: Run
    clock: StepClock
    residuals: Callable[[Given], int | None] | None


class CachingScheduler:
    """Drives one denoiser of one pipeline by one plan.

    Args:
        model: the denoiser; may be a compiled one.
        adapter: describes it.
        plan: what to do.
        clock: tells the steps.

    Attributes:
        run: the current or last sampling run.
        enabled: False passes every call through unchanged.
        on_feature: called with step, lane, branch and feature whenever a feature is kept, for calibration.
    """

    def __init__(self, model: nn.Module, adapter: Adapter, plan: Plan, clock: Clock) -> None:
        self.model = unwrap_compiled(model)
        self.entrance = model
        self.compiled = is_compiled(model)
        self.adapter = adapter
        self.plan = plan
        self.clock = clock
        self.enabled = True
        self.on_feature: Callable[[StepClock, int, int, Feature], None] | None = None
        self.parameters = list(inspect.signature(type(self.model).forward).parameters)[1:]
        self._cuts = self._make_cuts()
        self.run = Run(0, self._cuts)
        self.proof = Proof(needed=not adapter.described)
        self._macs = CallMacs(self.model, adapter, compiled=self.compiled)
        self._warned = False

    def __call__(self, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Stands around the denoiser's forward; returns what it returns."""
        call = dict(zip(self.parameters, args, strict=False)) | kwargs
        clock = None
        if self.enabled and not wants_gradients(self.model, call):
            clock = self._tick(call)
        if clock is None:
            if below(forward, CachingScheduler) is not forward:  # another session may know the call
                return forward(*args, **kwargs)
            return forward(*materialize(args), **materialize(kwargs))
        forward = below(forward, CachingScheduler)
        run = self._run_of(clock)
        self._enter(run, clock)
        self._decide(run, clock, self._sample(call))
        run.lane += 1
        try:
            return self._compute(run, clock, forward, call)
        except BaseException:
            run.drop()  # also on Ctrl-C: nobody may come back for it
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
        self._enter(run, clock)
        seen = run.change.full_input
        if self.plan.policy.needs_change and seen is not None and seen.shape != sample.shape:
            return Ahead(run, clock, None)  # such a policy compares inputs of the denoiser only
        self._decide(run, clock, sample)
        branch = None if run.full else self.plan.branch_at(clock.step)
        lane = run.lanes.get(run.lane + 1)
        fits = lane is not None and branch in lane.past
        return Ahead(run, clock, run.cuts[branch].residuals if branch is not None and fits else None)

    def macs(self, signature: Hashable, branch: int | None) -> int | None:
        """Multiply-adds of a call of the last run, by its signature; None if they cannot be counted."""
        return self._macs.of(signature, self.run.shapes[signature], branch)

    def _make_cuts(self) -> dict[int, Cut]:
        return {branch: self.adapter.cut(self.model, branch) for branch in self.plan.branches}

    def _run_of(self, clock: StepClock) -> Run:
        if self.run.number == clock.run:
            return self.run
        if found := other_cache(self.model):  # enabled since
            raise UnsupportedPipelineError(found)
        self.plan.check_total(clock.total)
        if clock.total == 1:
            self._warn_of_few_steps(clock.total)
        fresh = self._make_cuts()
        # The same cuts, unless the owner has exchanged layers: a compiled graph is made for its modules.
        if not all(cut.same_layers(fresh[branch]) for branch, cut in self._cuts.items()):
            self._cuts = fresh
        self._macs.begin_run()
        self.run = Run(
            clock.run, self._cuts, attention_readers(self.model, [cut.shrink for cut in self._cuts.values()])
        )
        return self.run

    def _warn_of_few_steps(self, total: int | None) -> None:
        if total is None or total > FEW_STEPS or self._warned:
            return
        self._warned = True
        if total == 1:
            warnings.warn(
                "a run of one step calls the denoiser once: there is nothing to reuse, and nothing is saved",
                stacklevel=2,
            )
            return
        warnings.warn(
            f"{total} steps leave little to reuse: neighbouring steps differ much, so cached steps save time "
            f"at a visible cost. Expect different pictures; interval=2 or no cache is the safe choice here.",
            stacklevel=2,
        )

    def _sample(self, call: dict[str, Any]) -> torch.Tensor:
        return first_tensor(call[self.adapter.sample])

    def _tick(self, call: dict[str, Any]) -> StepClock | None:
        timestep = self.adapter.timestep
        return self.clock.tick(None if timestep is None else call[timestep], call[self.adapter.sample])

    def _enter(self, run: Run, clock: StepClock) -> None:
        """Begin a step, with its first call or with that of a side network before it."""
        if clock.step != run.step:
            run.step, run.lane, run.conditions, run.decided = clock.step, -1, {}, False
            run.lanes = {number: lane for number, lane in run.lanes.items() if lane.step == clock.step - 1}

    def _decide(self, run: Run, clock: StepClock, sample: torch.Tensor) -> None:
        """Once per step: the calls of a step are its lanes."""
        if run.decided:
            return
        run.decided = True
        run.change.given = sample
        run.change.steps = 1 if run.full else run.change.steps + 1
        run.full = bool(run.readers or self.proof.refuted) or self.plan.policy.is_full(clock, run.change)
        run.change.given = None

    def _compute(self, run: Run, clock: StepClock, forward: Callable[..., Any], call: dict[str, Any]) -> Any:
        lane = run.lanes.setdefault(run.lane, Lane())
        form = signature(call), tuple(run.conditions.items())
        lane.enter(clock.step, form)
        planned = None if run.full else self.plan.branch_at(clock.step)
        branch = planned if planned in lane.past else None

        # Always the same taps, even where nothing will reuse them: one compiled graph for all full steps.
        taps = [cut for cut in run.cuts.values() if branch is None or cut.branch < branch]
        if form not in run.shapes:  # before the call: models take entries out of lists that they are given
            run.shapes[form] = shapes_of(call)
        if branch is None:
            call = materialize(call)
        unproved = branch is None and self.proof.missing(form)
        given = self.proof.begin(self.model, call) if unproved else call
        watch = Stopwatch(self._sample(call))
        if branch is None:
            with self._macs.counting(form, branch), tapped(taps):
                result = forward(**call)
        else:
            self._warn_of_few_steps(clock.total)
            cut, feature = run.cuts[branch], lane.forecast(branch, clock, self.plan.forecast)
            with (
                self._macs.counting(form, branch),
                run.groups(self.model, cut).within(cached(cut, feature, taps)),
            ):
                result = forward(**materialize(cut.arguments(call)))
        seconds = watch.stop()

        features = {cut: self._own(feature) for cut in taps if (feature := cut.tap.take(cut.tensors))}
        if unproved and learns_order(self.model):
            features = {}  # a proof's calls would be learned too: the next step is full, and shows it
        if unproved and features:
            self.proof.show(form, self.model, features, forward, given, result)
        for cut, feature in features.items():
            lane.keep(cut.branch, clock.time, feature, self.plan.forecast.memory)
            if self.on_feature is not None:
                self.on_feature(clock, run.lane, cut.branch, feature)
        if self.plan.policy.needs_change and run.lane == 0:
            run.change.seen(branch is None, self._sample(call), first_tensor(result))
        if clock.is_last:  # nothing is held when the run is over
            lane.past, run.change = {}, DenoiserChange()
        cache_miss = branch is None and planned is not None
        run.calls.append(CallRecord(clock, run.lane, branch, cache_miss, form, seconds, run.bytes_held()))
        return result

    def _own(self, feature: Feature) -> Feature:
        """A compiled model's tensors copied once more: CUDA graphs use the memory of their outputs again."""
        return tuple(tensor.clone() for tensor in feature) if self.compiled else feature


def wants_gradients(model: nn.Module, call: dict[str, Any]) -> bool:
    """Calls that are differentiated (Attend-and-Excite, training) run whole and are no step of their own."""
    return torch.is_grad_enabled() and (
        model.training
        or any(isinstance(value, torch.Tensor) and value.requires_grad for value in call.values())
    )
