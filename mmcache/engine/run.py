"""One sampling run of one denoiser: its steps, and the lanes of each. New for every run; nothing is reset."""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from mmcache.clocks.clock import StepClock
from mmcache.clocks.latents import ALIKE, Latent, StillPart, find_still_part, most_alike
from mmcache.compat.layer_readers import hooks_so_far
from mmcache.compat.model_settings import ModelSettings
from mmcache.engine.change import DenoiserChange
from mmcache.engine.conditioning import Conditionings, Leaves
from mmcache.engine.record import CallRecord
from mmcache.engine.run_views import RunViews
from mmcache.layouts.cut import Given
from mmcache.plans.forecast import Feature, Forecast, Observation


@dataclass(frozen=True)
class Origin:
    """What tells a call: of which lane it may be, and what a feature of it depends on beside the latent.

    Attributes:
        form: its signature, and the conditions of the step.
        conditioning: the numbers of what it is conditioned on, and of what its side networks are.
        settings: the number of how its model was set: LoRA and IP-Adapter scales, attention processors, FreeU.
    """

    form: Hashable
    conditioning: tuple[int, ...] = ()
    settings: int = 0


@dataclass
class Lane:
    """One of several denoiser calls per step, and the features of its full steps, by branch.

    Attributes:
        origin: what tells its calls.
        observations: the features.
        latent: that of its last call, where the next call may have to be told by it; None elsewhere.
        still: the part of its latents that stands still, such as a mask; None if there is none.
        still_is_known: whether there is any was looked at.
    """

    origin: Origin
    observations: dict[int, list[Observation]] = field(default_factory=dict)
    latent: Latent | None = None
    still: StillPart | None = None
    still_is_known: bool = False

    def goes_on_as(self, origin: Origin) -> "Lane":
        """The lane in the next step."""
        return Lane(origin, self.observations, None, self.still, self.still_is_known)

    def has_still_part_of(self, latent: Latent) -> bool:
        """Whether the part that stands still does so in a further latent; found at the lane's second call."""
        if self.still_is_known:
            return self.still is None or self.still.is_in(latent[0])
        if self.latent is not None:
            self.still_is_known, self.still = find_still_part(latent[0], self.latent[0])
        return True

    def remember(self, latent: Latent) -> None:
        self.latent = [part.detach().clone() for part in latent]

    def keep(self, branch: int, time: float, feature: Feature, memory: int) -> None:
        """Add an observation; a time that a sampler repeats replaces the older one.

        Features of other sizes than this one are dropped: nothing is forecast from both.
        """
        others = [
            seen
            for seen in self.observations.get(branch, [])
            if seen.time != time and looks_like(seen.feature, feature)
        ]
        self.observations[branch] = [*others, Observation(time, feature)][-memory:]

    def forecast(self, branch: int, clock: StepClock, forecast: Forecast) -> Feature:
        return forecast.at(clock.time, self.observations[branch], clock.step)

    def forget(self) -> None:
        """Hold nothing more."""
        self.observations, self.latent, self.still = {}, None, None

    def tensors(self) -> Iterator[torch.Tensor]:
        for observations in self.observations.values():
            for observation in observations:
                yield from observation.feature
        yield from self.latent or ()
        if self.still is not None:
            yield self.still.values


def looks_like(one: Feature, other: Feature) -> bool:
    return [(part.shape, part.dtype) for part in one] == [(part.shape, part.dtype) for part in other]


@dataclass
class Step:
    """One step of a run.

    Attributes:
        clock: where it is.
        full: whether the denoiser runs whole, as the policy has decided; None until it has.
        before: the lanes of the step directly before, until their next calls come, by the place of their call.
        lanes: those of this step so far, in the order of their calls.
        conditions: what else a feature of this step depends on: which side networks are switched on.
        side_conditionings: and the numbers of what they are conditioned on, by name and place of the call.
    """

    clock: StepClock
    before: dict[int, Lane] = field(default_factory=dict)
    full: bool | None = None
    lanes: dict[int, Lane] = field(default_factory=dict)
    conditions: dict[tuple[str, int], tuple[bool, ...]] = field(default_factory=dict)
    side_conditionings: dict[tuple[str, int], int] = field(default_factory=dict)

    def begin_call(self, origin: Origin, latent: Latent) -> tuple[Lane, str]:
        """The lane of the next call, and why it has no features, "" if it has some or never had any.

        A call goes on with a lane of the step before that has the same origin. Of several, with the one whose
        latent it continues.
        """
        number = len(self.lanes)
        before, why = self._lane_before(number, origin, latent)
        lane = self.lanes[number] = Lane(origin) if before is None else before.goes_on_as(origin)
        if not lane.still_is_known or self._has_several(origin):
            lane.remember(latent)
        return lane, why

    def _lane_before(self, number: int, origin: Origin, latent: Latent) -> tuple[Lane | None, str]:
        places = [place for place, lane in self.before.items() if lane.origin == origin]
        if not places:
            return None, self._what_changed(number, origin)
        if len(places) == 1:
            place = places[0]
        else:
            places.sort(key=lambda place: place != number)  # of two alike, the one at the same place
            best, alike = most_alike(latent, [self.before[place].latent for place in places])
            if alike < ALIKE:
                return None, UNTOLD
            place = places[best]
        lane = self.before.pop(place)
        return (lane, "") if lane.has_still_part_of(latent) else (None, CHANGED)

    def _what_changed(self, number: int, origin: Origin) -> str:
        expected = self.before.get(number)
        if expected is None or expected.origin.form != origin.form:
            return ""
        return CHANGED

    def _has_several(self, origin: Origin) -> bool:
        """Whether calls of one origin have to be told apart by their latents."""
        others = (*self.before.values(), *(lane for n, lane in self.lanes.items() if n < len(self.lanes) - 1))
        return any(lane.origin == origin for lane in others)

    def next_has(self, branch: int) -> bool:
        """Whether the lane of the next call has a feature for a branch, if the call looks as expected."""
        before = self.before.get(len(self.lanes)) or next(iter(self.before.values()), None)
        return before is not None and branch in before.observations


# Why a call has no features although there was one like it in the step before.
CHANGED = "the conditioning changed"
UNTOLD = "it could not be told which call of the step before it goes on from"


class Run:
    """What one sampling run remembers.

    Args:
        number: the clock's.
        views: what the run calls in place of the model.
        settings: watches how the model is set.
        readers: what may be read in layers that a cached step leaves out; if there is anything, every step is
            full.

    Attributes:
        hooks: how many hooks had been registered anywhere when `readers` were looked for.
        aside: why nothing is done in this run, such as another cache that was enabled since; "" usually.
        step: the step that is going on; None before the first.
        conditionings: those of the denoiser's calls and of each side network's, by its name.
        calls: a record of each call.
        shapes: the arguments of a call on the meta device, by signature.
        change: how far the denoiser has moved, for policies that ask.
    """

    def __init__(
        self, number: int, views: RunViews, settings: ModelSettings, readers: tuple[str, ...] = ()
    ) -> None:
        self.number = number
        self.views = views
        self.settings = settings
        self.readers = readers
        self.hooks = hooks_so_far()
        self.aside = ""
        self.step: Step | None = None
        self.conditionings: dict[str, Conditionings] = {}
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
        for known in self.conditionings.values():
            known.begin_step()
        return self.step

    def conditioning(self, leaves: Leaves, name: str = "") -> int:
        """The number of what a call is conditioned on; of the denoiser, or of a side network of this name."""
        known = self.conditionings.get(name)
        if known is None:
            known = self.conditionings[name] = Conditionings()
        return known.number_of(leaves)

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
        self.step, self.change, self.conditionings = None, DenoiserChange(), {}

    def end_call(self, step: Step, lane: Lane) -> None:
        """Behind the last step's call in a lane: nothing is held for it any more."""
        if step.clock.is_last:
            lane.forget()
            self.change = DenoiserChange()
            if not step.before:
                self.conditionings = {}

    def tensors(self) -> Iterator[torch.Tensor]:
        """What is held: features, and what calls are told by; not what the caller holds anyway."""
        lanes = () if self.step is None else (*self.step.before.values(), *self.step.lanes.values())
        for lane in lanes:
            yield from lane.tensors()
        yield from self.change.tensors()
        for known in self.conditionings.values():
            yield from known.tensors()

    def bytes_held(self) -> int:
        return sum({tensor.data_ptr(): tensor.nbytes for tensor in self.tensors()}.values())


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
        branch: the branch that it runs; None for a full call, also where a cached one has failed.
        missing: why its lane has no features although the step before had a call like it; "" elsewhere.
    """

    step: Step
    lane: Lane
    form: Hashable
    planned: int | None
    branch: int | None
    missing: str
