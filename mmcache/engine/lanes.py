"""The steps of a run, and the lanes of each: which call of a step goes on from which of the step before."""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from mmcache.clocks.clock import StepClock
from mmcache.clocks.latents import (
    ALIKE,
    AT_LEAST,
    SLACK,
    Latent,
    StillPart,
    continues,
    find_still_part,
    most_alike,
)
from mmcache.engine.kept_output import OutputForm, take_apart
from mmcache.plans.branch import NOTHING
from mmcache.plans.forecast import Feature, Forecast, Observation, Total

# Why a call has no features although there was one like it in the step before.
CHANGED = "the conditioning or the weights changed"
UNTOLD = "it could not be told which call of the step before it goes on from"


@dataclass(frozen=True)
class Origin:
    """What tells a call: of which lane it may be, and what a feature of it depends on beside the latent.

    Attributes:
        form: its signature, and the conditions of the step.
        conditioning: the number of what it is conditioned on, and of its side networks that and how they are
            set.
        settings: the number of how its model was set: LoRA and IP-Adapter scales, attention processors,
            FreeU.
    """

    form: Hashable
    conditioning: tuple[Hashable, ...] = ()
    settings: int = 0


@dataclass
class Lane:
    """One of several denoiser calls per step, and the features of its full steps, by branch.

    Attributes:
        origin: what tells its calls.
        observations: the features; those of `NOTHING` are outputs.
        forecast_at: by branch, the times of the forecasts since the last observation.
        output: the form of its outputs, where these are kept.
        latent: that of its last call, by which the next call may have to be told; None in the last step.
        alike: how much the last latent that was compared was like the one before it.
        still: the part of its latents that stands still, such as a mask; None if there is none.
        still_is_known: whether there is any was looked at.
        place: that of the lane of the step before which it goes on from.
    """

    origin: Origin
    observations: dict[int, list[Observation]] = field(default_factory=dict)
    forecast_at: dict[int, list[float]] = field(default_factory=dict)
    output: OutputForm | None = None
    latent: Latent | None = None
    alike: float = 1.0
    still: StillPart | None = None
    still_is_known: bool = False
    place: int = 0

    def goes_on_as(self, origin: Origin) -> "Lane":
        """The lane in the next step."""
        return replace(self, origin=origin, latent=None)

    def continues_in(self, latent: Latent) -> bool:
        """Whether a further latent goes on from that of the last call, in every image.

        A latent that is another one (a callback has exchanged it, particles were resampled, another image of
        the loop is called) needs features of its own. On a GPU it waits for the device.
        """
        least = min(ALIKE, max(AT_LEAST, self.alike - SLACK))
        told, self.alike = (True, 1.0) if self.latent is None else continues(latent, self.latent, least)
        return told

    def has_still_part_of(self, latent: Latent) -> bool:
        """Whether the part that stands still does so in a further latent; found at the lane's second call."""
        if self.still_is_known:
            return self.still is None or self.still.is_in(latent[0])
        if self.latent is not None:
            self.still_is_known, self.still = find_still_part(latent[0], self.latent[0])
        return True

    def remember(self, latent: Latent) -> None:
        self.latent = [part.detach().clone() for part in latent]

    def keep(
        self,
        branch: int,
        time: float,
        feature: Feature,
        forecast: Forecast,
        sample: torch.Tensor | None = None,
        total: Total = None,
    ) -> None:
        """Add an observation; a time that a sampler repeats replaces the older one.

        Features of other sizes than this one are dropped: nothing is forecast from both.

        Args:
            forecast: what it is kept for.
            sample: the denoiser's input, by which a forecast may tell rows of one image.
            total: sums over the processes that have the rest of the feature; None where it is whole.
        """
        others = [
            seen
            for seen in self.observations.get(branch, [])
            if seen.time != time and looks_like(seen.feature, feature)
        ]
        missed = tuple(self.forecast_at.pop(branch, ()))
        past = [*others, Observation(time, feature, missed)][-forecast.memory :]
        more = () if total is None else (total,)
        past[-1] = past[-1]._replace(believed=forecast.check(past, sample, *more))
        self.observations[branch] = past

    def keep_output(
        self, time: float, output: Any, forecast: Forecast, sample: torch.Tensor | None = None
    ) -> Feature:
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
            self.keep(NOTHING, time, feature, forecast, sample)
        return feature

    def forecast(self, branch: int, clock: StepClock, forecast: Forecast) -> Feature:
        """The feature of a cached step; what was missed before is made up for once."""
        past = self.observations[branch]
        feature = forecast.at(clock.time, past, clock.step)
        if clock.time != past[-1].time:
            self.forecast_at.setdefault(branch, []).append(clock.time)
            past[-1] = past[-1]._replace(missed=())
        return feature

    def forecast_output(self, clock: StepClock, forecast: Forecast) -> Any:
        """What the denoiser would have returned."""
        assert self.output is not None  # observations of outputs have a form
        return self.output.put_together(self.forecast(NOTHING, clock, forecast))

    def drop_features(self) -> None:
        self.observations, self.forecast_at = {}, {}

    def forget(self) -> None:
        """Hold nothing more."""
        self.drop_features()
        self.latent = self.still = None

    def tensors(self) -> Iterator[torch.Tensor]:
        for observations in self.observations.values():
            for observation in observations:
                yield from (*observation.feature, *observation.believed)
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
        before: the lanes of the step directly before, until their next calls come, by the place of a call.
        lanes: those of this step so far, in the order of their calls.
        conditions: what else a feature of this step depends on: which side networks are switched on.
        side_conditionings: and the numbers of what they are conditioned on and of how they are set, by name
            and place of the call.
    """

    clock: StepClock
    before: dict[int, Lane] = field(default_factory=dict)
    full: bool | None = None
    lanes: dict[int, Lane] = field(default_factory=dict)
    conditions: dict[tuple[str, int], tuple[bool, ...]] = field(default_factory=dict)
    side_conditionings: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._expected = len(self.before)

    def begin_call(
        self, origin: Origin, latent: Latent, is_handed_on: Callable[[], bool] = lambda: False
    ) -> tuple[Lane, str]:
        """The lane of the next call, and why it has no features, "" if it has some or never had any.

        A call goes on with a lane of the step before that has the same origin, if its latent goes on from
        that lane's. Of several, with the one whose latent it continues best.

        Args:
            origin: what tells the call beside its latent.
            latent: the call's.
            is_handed_on: whether it is known, without a look at values, to be what the sampler has returned.
        """
        number = len(self.lanes)
        before, why = self._lane_before(number, origin, latent, is_handed_on)
        lane = self.lanes[number] = Lane(origin) if before is None else before.goes_on_as(origin)
        if not self.clock.is_last:  # nothing goes on from the last step
            lane.remember(latent)
        if len(self.lanes) >= self._expected:
            self.before.clear()  # of as many calls as before, none goes on from what is left
        return lane, why

    def _lane_before(
        self, number: int, origin: Origin, latent: Latent, is_handed_on: Callable[[], bool]
    ) -> tuple[Lane | None, str]:
        places = [place for place, lane in self.before.items() if lane.origin == origin]
        if not places:
            return None, self._what_changed(number, origin)
        if len(places) == 1:
            place = places[0]
            alone = not any(lane.origin == origin for lane in self.lanes.values())
            if not (alone and is_handed_on()) and not self.before[place].continues_in(latent):
                return replace(self.before.pop(place), observations={}, forecast_at={}), UNTOLD
        else:
            places.sort(key=lambda place: place != number)  # of two alike, the one at the same place
            best, alike = most_alike(latent, [self.before[place].latent for place in places])
            if alike < ALIKE:
                return None, UNTOLD
            place = places[best]
        lane = self.before.pop(place)
        lane.place = place
        return (lane, "") if lane.has_still_part_of(latent) else (None, CHANGED)

    def _what_changed(self, number: int, origin: Origin) -> str:
        expected = self.before.get(number)
        if expected is None or expected.origin.form != origin.form:
            return ""
        return CHANGED

    def next_has(self, branch: int) -> bool:
        """Whether the lane of the next call has a feature for a branch, if the call looks as expected."""
        before = self.before.get(len(self.lanes)) or next(iter(self.before.values()), None)
        return before is not None and branch in before.observations
