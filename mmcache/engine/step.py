"""A step of a run: which of its calls goes on from which call of the step before."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from mmcache.clocks.clock import StepClock
from mmcache.clocks.latents import ALIKE, STILL, Latent, most_alike
from mmcache.engine.lanes import Lane, Origin
from mmcache.engine.returned_latents import ReturnedLatents
from mmcache.engine.settling import MOST_STEPS

# Why a call has no features although there was one like it in the step before.
CHANGED = "the conditioning or the weights changed"
UNSETTLED = "the features had not settled yet behind that change"
UNTOLD = "it could not be told which call of the step before it goes on from"


@dataclass
class Step:
    """One step of a run.

    Attributes:
        clock: where it is.
        full: whether the denoiser runs whole, as the policy has decided; None until it has.
        before: the lanes of the step directly before, until their next calls come, by the place of a call.
        handed: what the scheduler has returned in the step before, where somebody's own code may have
            changed it since.
        lanes: those of this step so far, in the order of their calls.
        conditions: what else a feature of this step depends on: which side networks are switched on.
        side_conditionings: and the numbers of what they are conditioned on and of how they are set, by name
            and place of the call.
        returned: what the scheduler has returned in this step.
    """

    clock: StepClock
    before: dict[int, Lane] = field(default_factory=dict)
    handed: ReturnedLatents = field(default_factory=ReturnedLatents)
    full: bool | None = None
    lanes: dict[int, Lane] = field(default_factory=dict)
    conditions: dict[tuple[str, int], tuple[bool, ...]] = field(default_factory=dict)
    side_conditionings: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    returned: ReturnedLatents = field(default_factory=ReturnedLatents)

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
        if why == CHANGED:
            lane.unsettled_until = self.clock.step + MOST_STEPS
        elif lane.unsettled_until >= self.clock.step:
            why = UNSETTLED
        else:
            lane.unsettled_until = -1
        if not self.clock.is_last:  # nothing goes on from the last step
            lane.remember(latent)
        if len(self.lanes) >= self._expected:
            self.before.clear()  # of as many calls as before, none goes on from what is left
            self.handed = ReturnedLatents()
        return lane, why

    def _lane_before(
        self, number: int, origin: Origin, latent: Latent, is_handed_on: Callable[[], bool]
    ) -> tuple[Lane | None, str]:
        places = [place for place, lane in self.before.items() if lane.origin == origin]
        if not places:
            return None, self._what_changed(number, origin, latent)
        if len(places) == 1:
            place = places[0]
            alone = not any(lane.origin == origin for lane in self.lanes.values())
            if not (alone and is_handed_on()) and not self._goes_on(self.before[place], latent, alone):
                return replace(self.before.pop(place), observations={}, forecast_at={}), UNTOLD
        else:
            places.sort(key=lambda place: place != number)  # of two alike, the one at the same place
            best, alike = most_alike(latent, [self.before[place].latent for place in places])
            place = places[best]
            if alike < (STILL if self.handed.tell(latent, self.before[place].latent) is False else ALIKE):
                return None, UNTOLD
        lane = self.before.pop(place)
        lane.place = place
        return (lane, "") if lane.has_still_part_of(latent) else (None, CHANGED)

    def _goes_on(self, lane: Lane, latent: Latent, alone: bool) -> bool:
        """Whether a latent goes on from a lane's, by their values and by what the scheduler has returned.

        Args:
            alone: whether the step has no other call so far that may go on from this lane.
        """
        told = self.handed.tell(latent, lane.latent)
        if told is False:  # somebody has changed it, or a loop's input stands still
            return lane.continues_in(latent, STILL)
        return (bool(told) and alone) or lane.continues_in(latent)

    def _what_changed(self, number: int, origin: Origin, latent: Latent) -> str:
        """Why a call has no lane.

        Returns:
            "" for one of other sizes, such as where guidance begins or ends, and where a side network is
            switched on or off: behind that, features move on as before.
        """
        expected = self.before.get(number)
        if expected is None or expected.latent is None or expected.origin.switches != origin.switches:
            return ""
        same_sizes = [part.shape for part in expected.latent] == [part.shape for part in latent]
        return CHANGED if same_sizes else ""

    def next_has(self, branch: int) -> bool:
        """Whether the lane of the next call has a feature for a branch, if the call looks as expected."""
        before = self.before.get(len(self.lanes)) or next(iter(self.before.values()), None)
        return before is not None and before.usable(branch, self.clock.step) is not None
