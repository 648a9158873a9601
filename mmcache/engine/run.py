"""One sampling run of one denoiser. New for every run; nothing is reset."""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch

from mmcache.clocks.clock import StepClock
from mmcache.compat.layer_readers import hooks_so_far
from mmcache.compat.model_settings import ModelSettings
from mmcache.engine.change import DenoiserChange
from mmcache.engine.conditioning import Conditionings
from mmcache.engine.lanes import Lane
from mmcache.engine.leaves import Leaves
from mmcache.engine.paired_steps import PairedSteps
from mmcache.engine.processes import Processes
from mmcache.engine.record import CallRecord, Stopwatch
from mmcache.engine.run_views import RunViews
from mmcache.engine.step import Step
from mmcache.layouts.cut import Given


class Run:
    """What one sampling run remembers.

    Args:
        number: the clock's.
        views: what the run calls in place of the model.
        settings: watches how the model is set.

    Attributes:
        readers: what may look into layers that a cached step leaves out; if there is any, every step is full.
        hooks: how many hooks and forwards had been put anywhere when `readers` were looked for.
        aside: why nothing is done in this run, such as another cache that was enabled since; "" usually.
        step: the step that is going on; None before the first.
        conditionings: those of the denoiser's calls and of each side network's, by its name.
        calls: a record of each call.
        shapes: the arguments of a call on the meta device, by signature.
        processes: those that compute the model together.
        change: how far the denoiser has moved, for policies that ask.
        pairs: which steps are full beside those that the policy chooses.
        finished: whether it is over, and was told to whoever asked for reports.
    """

    def __init__(self, number: int, views: RunViews, settings: ModelSettings) -> None:
        self.number = number
        self.views = views
        self.settings = settings
        self.readers: tuple[str, ...] = ()
        self.hooks = self.hooks_now
        self.aside = ""
        self.step: Step | None = None
        self.conditionings: dict[str, Conditionings] = {}
        self.calls: list[CallRecord] = []
        self.shapes: dict[Hashable, dict[str, Any]] = {}
        self.processes = Processes()
        self.change = DenoiserChange()
        self.pairs = PairedSteps()
        self.finished = False

    def begin_step(self, clock: StepClock) -> Step:
        """The step of a call: the one that is going on, or a new one.

        The rule stands here alone: a lane's features come from the step directly before.
        """
        last = self.step
        if last is not None and last.clock.step == clock.step:
            return last
        follows = last is not None and last.clock.step == clock.step - 1
        if last is not None and not last.clock.sure:
            for lane in last.lanes.values():
                lane.forget_but_newest()
        self.step = Step(clock, dict(last.lanes), last.returned) if follows and last else Step(clock)
        for known in self.conditionings.values():
            known.begin_step(clock.own_code)
        self.settings.begin_step(clock.own_code)
        return self.step

    @property
    def hooks_now(self) -> tuple[int, int]:
        """Another pair whenever anybody has registered a hook, or put a forward on a layer of the model."""
        return hooks_so_far(), self.settings.patches

    def conditioning(self, leaves: Leaves, name: str = "") -> int:
        """The number of what a call is conditioned on; of the denoiser, or of a side network of this name."""
        known = self.conditionings.get(name)
        if known is None:
            looks = self.step is not None and self.step.clock.own_code
            known = self.conditionings[name] = Conditionings(looks)
        return known.number_of(leaves)

    def decide(self, step: Step, sample: torch.Tensor, is_full: Callable[[DenoiserChange], bool]) -> bool:
        """Whether a step is full: asked once, with the sample of its first call."""
        if step.full is None:
            self.change.given = sample
            step.full = self.pairs.is_full(step.clock, is_full(self.change))
            self.change.given = None
            self.change.steps = 1 if step.full else self.change.steps + 1
        return step.full

    def has_stopped_before(self, step: int) -> bool:
        """Whether the last call was in an earlier step than this one."""
        return self.step is not None and self.step.clock.step < step

    @property
    def is_stopped(self) -> bool:
        """Whether its last call was not in its last step, as far as anybody knows how many there are."""
        last = self.calls[-1].clock if self.calls else None
        return last is not None and last.total is not None and not last.is_last

    def clear_features(self) -> None:
        """Hold nothing more; what was recorded stays. A step that goes on with this run will be full."""
        self.step, self.change, self.conditionings = None, DenoiserChange(), {}
        self.settings.forget_weights()

    def end_step(self, sample: Any, result: Any) -> None:
        """Keep which latent the scheduler went on from and what it has returned, to tell the next one by."""
        if self.step is not None and self.calls and not self.step.clock.is_last:
            call = self.calls[-1]
            self.calls[-1] = replace(
                call, bytes_held=call.bytes_held + self.step.returned.add(sample, result)
            )

    def record(self, call: "Call", watch: Stopwatch) -> None:
        """Note a call that has ended now; `watch` was started before it."""
        self.calls.append(
            CallRecord(
                clock=call.step.clock,
                lane=len(call.step.lanes) - 1,
                branch=call.branch,
                cache_miss=call.branch is None and call.planned is not None,
                signature=call.form,
                measured=watch.stop(),
                bytes_held=self.bytes_held(),
                missing=call.missing,
            )
        )

    def end_call(self, step: Step, lane: Lane) -> None:
        """Behind the last step's call in a lane: nothing is held for it any more."""
        if step.clock.is_last:
            lane.forget()
            self.change = DenoiserChange()
            if not step.before:
                self.conditionings = {}
                self.settings.forget_weights()

    def tensors(self) -> Iterator[torch.Tensor]:
        """What is held: features, and what calls are told by; not what the caller holds anyway."""
        lanes = () if self.step is None else (*self.step.before.values(), *self.step.lanes.values())
        for lane in lanes:
            yield from lane.tensors()
        if self.step is not None:
            yield from (*self.step.handed.tensors(), *self.step.returned.tensors())
        yield from self.change.tensors()
        for known in self.conditionings.values():
            yield from known.tensors()

    def bytes_held(self) -> int:
        return sum({tensor.data_ptr(): tensor.nbytes for tensor in self.tensors()}.values())


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


@dataclass
class Call:
    """One denoiser call of a run.

    Attributes:
        step: the step that it belongs to.
        lane: its lane.
        form: its signature, and the conditions of the step.
        planned: the branch that the plan has for it; None for a full call.
        branch: the branch that it runs, `NOTHING` where none of the model runs; None for a full call, also
            where a cached one has failed.
        missing: why its lane has no features although the step before had a call like it; "" elsewhere.
    """

    step: Step
    lane: Lane
    form: Hashable
    planned: int | None
    branch: int | None
    missing: str
