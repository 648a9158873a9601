"""The steps of a run, and the lanes of each: which call of a step goes on from which of the step before."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

import torch

from mmcache.clocks.clock import StepClock
from mmcache.clocks.latents import ALIKE, Latent, StillPart, find_still_part, most_alike
from mmcache.plans.forecast import Feature, Forecast, Observation

# Why a call has no features although there was one like it in the step before.
CHANGED = "the conditioning changed"
UNTOLD = "it could not be told which call of the step before it goes on from"


@dataclass(frozen=True)
class Origin:
    """What tells a call: of which lane it may be, and what a feature of it depends on beside the latent.

    Attributes:
        form: its signature, and the conditions of the step.
        conditioning: the numbers of what it is conditioned on, and of what its side networks are.
        settings: the number of how its model was set: LoRA and IP-Adapter scales, attention processors,
        FreeU.
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
        before: the lanes of the step directly before, until their next calls come, by the place of their
        call. lanes: those of this step so far, in the order of their calls.
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
