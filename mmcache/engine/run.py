"""One sampling run of one denoiser: its steps, and the lanes of each. New for every run; nothing is reset."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from mmcache.clocks.clock import StepClock
from mmcache.engine.change import DenoiserChange
from mmcache.engine.kept_output import OutputForm, take_apart
from mmcache.engine.record import CallRecord, Stopwatch
from mmcache.engine.run_views import RunViews
from mmcache.layouts.cut import Given
from mmcache.plans.branch import NOTHING
from mmcache.plans.forecast import Feature, Forecast, Observation


@dataclass
class Lane:
    """One of several denoiser calls per step, and what it knows of the steps before.

    Attributes:
        signature: of the call.
        observations: the features of its full steps, by branch; those of `NOTHING` are outputs.
        forecast_at: by branch, the times of the forecasts since the last observation.
        output: the form of its outputs, where these are kept.
    """

    signature: Hashable
    observations: dict[int, list[Observation]] = field(default_factory=dict)
    forecast_at: dict[int, list[float]] = field(default_factory=dict)
    output: OutputForm | None = None

    def keep(self, branch: int, time: float, feature: Feature, memory: int) -> None:
        """Add an observation; a time that a sampler repeats replaces the older one."""
        others = [seen for seen in self.observations.get(branch, []) if seen.time != time]
        missed = tuple(self.forecast_at.pop(branch, ()))
        self.observations[branch] = [*others, Observation(time, feature, missed)][-memory:]

    def keep_output(self, time: float, output: Any, memory: int) -> Feature:
        """Keep what a full step returned; of an output of another form the older ones are no help.

        Returns:
            What was kept; () for an output that cannot be forecast.
        """
        form, feature = take_apart(output)
        if form != self.output:
            self.observations.pop(NOTHING, None)
            self.forecast_at.pop(NOTHING, None)
        self.output = form
        if form is not None:
            self.keep(NOTHING, time, feature, memory)
        return feature

    def forecast_output(self, clock: StepClock, forecast: Forecast) -> Any:
        """What the denoiser would have returned."""
        assert self.output is not None  # observations of outputs have a form
        return self.output.put_together(self.forecast(NOTHING, clock, forecast))

    def forecast(self, branch: int, clock: StepClock, forecast: Forecast) -> Feature:
        """The feature of a cached step; what was missed before is made up for once."""
        past = self.observations[branch]
        feature = forecast.at(clock.time, past, clock.step)
        if clock.time != past[-1].time:
            self.forecast_at.setdefault(branch, []).append(clock.time)
            past[-1] = past[-1]._replace(missed=())
        return feature

    def tensors(self) -> Iterator[torch.Tensor]:
        for observations in self.observations.values():
            for observation in observations:
                yield from observation.feature


@dataclass
class Step:
    """One step of a run.

    Attributes:
        clock: where it is.
        full: whether the denoiser runs whole, as the policy has decided; None until it has.
        before: the lanes of the step directly before, until their next calls come.
        lanes: those of this step so far, in the order of their calls.
        conditions: what else a feature of this step depends on: which side networks are switched on.
    """

    clock: StepClock
    before: dict[int, Lane] = field(default_factory=dict)
    full: bool | None = None
    lanes: dict[int, Lane] = field(default_factory=dict)
    conditions: dict[tuple[str, int], tuple[bool, ...]] = field(default_factory=dict)

    def begin_call(self, signature: Hashable) -> Lane:
        """The lane of the next call. It has features if the same call of the step before looked alike."""
        number = len(self.lanes)
        before = self.before.pop(number, None)
        fits = before is not None and before.signature == signature
        lane = self.lanes[number] = before if fits and before else Lane(signature)
        return lane

    def next_has(self, branch: int) -> bool:
        """Whether the lane of the next call has a feature for a branch, if the call looks as expected."""
        before = self.before.get(len(self.lanes))
        return before is not None and branch in before.observations


class Run:
    """What one sampling run remembers.

    Args:
        number: the clock's.
        views: what the run calls in place of the model.
        readers: attention processors that may be read in layers that a cached step leaves out; if there are
            any, every step is full.

    Attributes:
        step: the step that is going on; None before the first.
        calls: a record of each call.
        shapes: the arguments of a call on the meta device, by signature.
        change: how far the denoiser has moved, for policies that ask.
    """

    def __init__(self, number: int, views: RunViews, readers: tuple[str, ...] = ()) -> None:
        self.number = number
        self.views = views
        self.readers = readers
        self.step: Step | None = None
        self.calls: list[CallRecord] = []
        self.shapes: dict[Hashable, dict[str, Any]] = {}
        self.change = DenoiserChange()

    def begin_step(self, clock: StepClock) -> Step:
        """The step of a call: the one that is going on, or a new one.

        The rule stands here alone: a lane's features come from the step directly before.
        """
        last = self.step
        if last is not None and last.clock.step == clock.step:
            return last
        follows = last is not None and last.clock.step == clock.step - 1
        self.step = Step(clock, dict(last.lanes) if follows and last else {})
        return self.step

    def decide(self, step: Step, sample: torch.Tensor, is_full: Callable[[DenoiserChange], bool]) -> bool:
        """Whether a step is full: asked once, with the sample of its first call."""
        if step.full is None:
            self.change.given = sample
            step.full = is_full(self.change)
            self.change.given = None
            self.change.steps = 1 if step.full else self.change.steps + 1
        return step.full

    def has_stopped_before(self, step: int) -> bool:
        """Whether the last call was in an earlier step than this one."""
        return self.step is not None and self.step.clock.step < step

    def clear_features(self) -> None:
        """Hold nothing more; what was recorded stays. A step that goes on with this run will be full."""
        self.step, self.change = None, DenoiserChange()

    def end_call(self, lane: Lane, clock: StepClock) -> None:
        """Behind the last step's call in a lane: nothing is held for it any more."""
        if clock.is_last:
            lane.observations, lane.forecast_at, self.change = {}, {}, DenoiserChange()

    @contextmanager
    def recorded(self, call: "Call", sample: torch.Tensor) -> Iterator[None]:
        """Around a call: notes it for the report, with its time on the device of this tensor."""
        watch = Stopwatch(sample)
        yield
        self.calls.append(
            CallRecord(
                clock=call.step.clock,
                lane=len(call.step.lanes) - 1,
                branch=call.branch,
                cache_miss=call.branch is None and call.planned is not None,
                signature=call.form,
                measured=watch.stop(),
                bytes_held=self.bytes_held(),
            )
        )

    def bytes_held(self) -> int:
        lanes = () if self.step is None else (*self.step.before.values(), *self.step.lanes.values())
        tensors = [tensor for lane in lanes for tensor in lane.tensors()]
        return sum(tensor.nbytes for tensor in (*tensors, *self.change.tensors()))


def no_residuals(given: Given | None) -> int:
    """What a cached step that runs no layer needs of a side network."""
    return 0


class Ahead(NamedTuple):
    """What a coming denoiser call is expected to be.

    Attributes:
        run: the sampling run.
        step: its step.
        residuals: how many of the first residuals of a side network it needs, of one that gives these; None:
            all of them.
    """

    run: Run
    step: Step
    residuals: Callable[[Given], int | None] | None


class Call(NamedTuple):
    """One denoiser call of a run.

    Attributes:
        step: the step that it belongs to.
        lane: its lane.
        form: its signature, and the conditions of the step.
        planned: the branch that the plan has for it; None for a full call.
        branch: the branch that it runs, `NOTHING` where none of the model runs; None for a full call.
    """

    step: Step
    lane: Lane
    form: Hashable
    planned: int | None
    branch: int | None
