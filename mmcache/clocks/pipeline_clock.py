"""The clock of a pipeline: whichever of its schedulers drives a denoiser call.

Most pipelines have one scheduler. Others have several (a prior's and a decoder's, one that goes from noise
to image and one that goes back), or are made of pipelines with a scheduler each. A call belongs to the
scheduler whose timesteps it is called with; where they do not show it, to the one that moved last.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from mmcache.clocks.clock import StepClock
from mmcache.clocks.scheduler_clock import SchedulerClock
from mmcache.clocks.timestep_clock import LEAST, TimestepClock
from mmcache.compat.calling_pipeline import calling_pipelines
from mmcache.patching.held import held
from mmcache.patching.pipeline_kinds import is_pipeline
from mmcache.patching.scheduler_patch import is_scheduler


def own_schedulers(owner: Any) -> list[Any]:
    """The schedulers that are attributes of this object, each once."""
    found = {id(value): value for value in vars(owner).values() if is_scheduler(value)}
    return list(found.values())


def pipelines_of(owner: Any) -> Iterator[Any]:
    """A pipeline and those that it is made of."""
    yield owner
    if is_pipeline(owner):
        for part in vars(owner).values():
            if is_pipeline(part):
                yield from pipelines_of(part)


class PipelineClock:
    """Tells the steps of everything that `owner`'s schedulers drive.

    Args:
        owner: a pipeline, or what holds the scheduler of someone's own loop. Its schedulers may be replaced
            at any time. Calls that another pipeline makes are not of this clock.

    Attributes:
        on_run: called when a run starts.
        on_end: called when the last step of a run has ended, with the run's number and that step.
        on_step: called when a step has ended behind which somebody's own code alone may change the latent,
            with the run's number, the latent that it went on from and what the scheduler has returned.
        on_unheard: called when the owner has taken steps without a call of a denoiser, with whether it has
            no other scheduler.
        on_stranger: called at every call of a denoiser that another pipeline makes, with that pipeline.
    """

    def __init__(self, owner: Any) -> None:
        self._owner = held(owner)
        self.on_stranger: Callable[[Any], None] = lambda pipeline: None
        self.on_run: Callable[[], None] = lambda: None
        self.on_end: Callable[[int, int], None] = lambda run, step: None
        self.on_step: Callable[[int, Any, Any], None] = lambda run, sample, result: None
        self.on_unheard: Callable[[bool], None] = lambda only_scheduler: None
        self._numbers = itertools.count(1)
        self._clocks: dict[int, SchedulerClock] = {}
        self._driver: SchedulerClock | None = None  # of the last call
        self._is_direct = False  # whether nothing of somebody's own has stood around the last call
        self._of_diffusers = False  # whether nobody's own code has run before the last call
        self._blends = False  # whether the pipeline itself may have changed the latent before it
        self._own_loops = TimestepClock(self._numbers)
        self._calls = self._steps = 0  # calls by the owner, and those that a scheduler has told a step
        self._watch()

    @property
    def owner(self) -> Any:
        """What this clock is of; None for a pipeline that is gone."""
        return self._owner()

    @property
    def runs_at_once(self) -> int:
        wander = any(clock.run.wanders for clock in self._clocks.values())
        return self._own_loops.runs_at_once if wander else 1

    def _watch(self) -> None:
        """Watch the schedulers that there are now, and no others."""
        found = {id(s): s for part in pipelines_of(self.owner) for s in own_schedulers(part)}
        for gone in self._clocks.keys() - found.keys():
            self._clocks.pop(gone).release()
        new = found.keys() - self._clocks.keys()
        for key in new:
            self._clocks[key] = SchedulerClock(
                found[key],
                self._numbers,
                on_run=lambda: self.on_run(),
                on_end=lambda run, step: self.on_end(run, step),
                on_step=self._end_step,
                on_unheard=self._miss_calls,
                in_pipeline=self._in_pipeline,
            )

        if any(self._clocks[key].run.live for key in new):
            self.on_run()  # it was replaced in a run

    def tick(self, timestep: Any, sample: Any, hooked: bool = False) -> StepClock | None:
        owner = self.owner  # held until the end: another thread may be about to drop it
        callers = calling_pipelines()
        if owner is None:
            return None  # as every call is that of another pipeline then
        if callers and not any(self._is_of(caller.pipeline) for caller in callers):
            self.on_stranger(callers[0].pipeline)
            return None  # another pipeline shares the denoiser
        holder = callers[0].pipeline if callers and is_pipeline(owner) else owner
        clock = self._driver = self._driving(holder, timestep)
        around = hooked or (clock is not None and clock.runs_own_code)
        self._is_direct = not around and all(caller.is_direct for caller in callers)
        self._of_diffusers = bool(callers) and not around and not any(caller.own_code for caller in callers)
        self._blends = not self._of_diffusers and any(caller.has_mask for caller in callers)
        declared = next((caller.steps for caller in callers if caller.pipeline is holder), None)
        step = None if clock is None else clock.tick(timestep, declared)
        self._calls += bool(callers)
        self._steps += step is not None
        if clock is None or not clock.run.wanders or callers or timestep is None:
            if step is None or self._of_diffusers:
                return step
            names = tuple(name for caller in callers for name in caller.exchangeable)
            return replace(step, own_code=True, exchangeable=names)
        # A loop that never calls `step`, such as an inversion by hand: its timesteps tell more.
        return self._own_loops.tick(timestep, sample)

    def _is_of(self, pipeline: Any) -> bool:
        """Whether this pipeline is the owner, or samples with the scheduler of the owner's loop."""
        owner = self.owner
        if owner is None or is_pipeline(owner):
            return pipeline is owner
        return any(one is owner.scheduler for one in own_schedulers(pipeline))

    def _in_pipeline(self) -> bool:
        """Whether one of the pipelines that this clock is of is on the call stack."""
        return any(self._is_of(caller.pipeline) for caller in calling_pipelines())

    def _driving(self, holder: Any, timestep: Any) -> SchedulerClock | None:
        """The clock of the scheduler that drives a call by `holder`."""
        schedulers = own_schedulers(holder) or own_schedulers(self.owner)
        if any(id(scheduler) not in self._clocks for scheduler in schedulers):
            self._watch()
        clocks = [self._clocks[id(scheduler)] for scheduler in schedulers if id(scheduler) in self._clocks]
        if len(clocks) > 1:
            clocks = [clock for clock in clocks if clock.run.points_at(timestep)] or clocks
        return max(clocks, key=lambda clock: clock.moved, default=None)

    def _end_step(self, run: int, sample: Any, result: Any) -> None:
        if not (self._of_diffusers or self._blends):
            self.on_step(run, sample, result)

    def _miss_calls(self) -> None:
        if not is_pipeline(self.owner) or self._in_pipeline():  # another pipeline may have the same scheduler
            self.on_unheard(len(self._clocks) == 1)

    def is_handed_on(self) -> bool:
        driver = self._driver
        if driver is None or driver.run.wanders:
            return driver is not None
        if self._of_diffusers:  # inpainting puts an image beside its mask back into the latent, say
            return True
        return self._is_direct and driver.handed is not None and driver.handed.is_with_callers()

    def returned(self, result: Any) -> None:
        self._own_loops.returned(result)

    @property
    def remark(self) -> str:
        calls = max((clock.run.calls_before_step for clock in self._clocks.values()), default=0)
        if (self._calls >= LEAST and not self._steps) or calls >= LEAST:
            return (
                "its denoiser was called without a step of its schedulers (it may step by itself, or by a "
                "copy), so every call was full: call it in a loop of your own, accelerate(denoiser, ...)"
            )
        if max((clock.run.hops for clock in self._clocks.values()), default=0) >= LEAST:
            return (
                "its calls came from several threads in turns, so the steps behind a change were full: what "
                "is kept is kept for each thread, so let one thread make all calls of a loop"
            )
        return self._own_loops.remark

    def release(self) -> None:
        for clock in self._clocks.values():
            clock.release()
        self._clocks.clear()
        self._driver = None
        self._own_loops.release()
        self.on_run, self.on_end = lambda: None, lambda run, step: None  # nothing keeps the pipeline alive
        self.on_step, self.on_unheard = lambda run, sample, result: None, lambda only_scheduler: None
        self.on_stranger = lambda pipeline: None
