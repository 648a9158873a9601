"""A lane: what is kept of a denoiser call, and how a call of a later step is told to go on from it."""

from collections.abc import Hashable, Iterator
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
)
from mmcache.engine.kept_output import OutputForm, take_apart
from mmcache.engine.settling import moves_on_a_line
from mmcache.plans.branch import NOTHING
from mmcache.plans.forecast import Feature, Forecast, Observation, Total


@dataclass(frozen=True)
class Origin:
    """What tells a call: of which lane it may be, and what a feature of it depends on beside the latent.

    Attributes:
        form: its signature.
        conditioning: the number of what it is conditioned on, and of its side networks that and how they are
            set.
        settings: the number of how its model was set: LoRA and IP-Adapter scales, attention processors,
            FreeU.
        switches: the conditions of the step: which side networks are switched on.
    """

    form: Hashable
    conditioning: tuple[Hashable, ...] = ()
    settings: int = 0
    switches: Hashable = ()


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
        unsettled_until: the last step at which, behind a change, its features may not be used yet.
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
    unsettled_until: int = -1

    def goes_on_as(self, origin: Origin) -> "Lane":
        """The lane in the next step."""
        return replace(self, origin=origin, latent=None)

    def usable(self, branch: int | None, step: int) -> int | None:
        """The branch, if there are features that a step may be forecast from."""
        return branch if branch in self.observations and self.unsettled_until < step else None

    def continues_in(self, latent: Latent, least: float | None = None) -> bool:
        """Whether a further latent goes on from that of the last call, in every image.

        A latent that is another one (a callback has exchanged it, particles were resampled, another image of
        the loop is called) needs features of its own. On a GPU it waits for the device.

        Args:
            least: the cosine, at least; None: as the lane's latents have gone on so far.
        """
        least = min(ALIKE, max(AT_LEAST, self.alike - SLACK)) if least is None else least
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
        memory = forecast.memory
        if self.unsettled_until >= 0:
            if moves_on_a_line(others, time, feature):
                self.unsettled_until = -1
            else:
                memory = max(2, memory)
        past = [*others, Observation(time, feature, missed)][-memory:]
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

    def forget_but_newest(self) -> None:
        """Behind a step that was full only since nobody knew of a run yet: no line is drawn through it."""
        self.observations = {branch: past[-1:] for branch, past in self.observations.items()}

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
