"""The clock of one diffusers scheduler, watched: `set_timesteps` starts a run and `step` ends a step."""

from collections.abc import Callable, Iterator
from typing import Any

from mmcache.clocks.clock import StepClock
from mmcache.clocks.handed_latent import HandedLatent
from mmcache.clocks.scheduler_run import SchedulerRun, this_thread
from mmcache.compat.own_code import has_own_methods, has_own_step
from mmcache.errors import PipelineInUseError
from mmcache.patching.scheduler_patch import Listener, watch


class SchedulerClock:
    """Tells the steps of everything that one scheduler drives.

    Args:
        scheduler: is watched until `release`.
        numbers: rising numbers, shared by the clocks of a pipeline: its runs are counted by them, and
            what happened last at which scheduler is compared by them.
        on_run: called when a run starts.
        on_end: called when the last step of a run has ended, with the run's number and that step.
        on_step: called when a step of a sampler whose steps are known has ended, with the run's number, the
            latent that it went on from and what the scheduler has returned.
        on_unheard: called when steps have ended, and no call of a denoiser has come.
        in_pipeline: whether a pipeline of this clock is on the call stack.

    Attributes:
        moved: the number of the last start of a run or end of a step.
        run: the run that has begun last.
        handed: what the last step has returned; None before the first.
        has_own_step: whether the sampler's step is somebody's own, as it was when the run began.
    """

    def __init__(
        self,
        scheduler: Any,
        numbers: Iterator[int],
        on_run: Callable[[], None],
        on_end: Callable[[int, int], None],
        on_step: Callable[[int, Any, Any], None] = lambda run, sample, result: None,
        on_unheard: Callable[[], None] = lambda: None,
        in_pipeline: Callable[[], bool] = lambda: False,
    ) -> None:
        self.scheduler = scheduler
        self.on_run = on_run
        self.on_end = on_end
        self.on_step = on_step
        self.on_unheard = on_unheard
        self.in_pipeline = in_pipeline
        self.handed: HandedLatent | None = None
        self._turned = 0
        self._numbers = numbers
        announced = getattr(scheduler, "timesteps", None)
        # Watched in the middle of a run, if somebody has called its set_timesteps already.
        # Some do not note how many steps they were set to, but have no timesteps before.
        self.run = self._new_run(getattr(scheduler, "num_inference_steps", announced) is not None, announced)
        self.moved = self.run.number
        self.has_own_step = has_own_step(scheduler)
        self._unwatch: Callable[[], None] | None = watch(scheduler, Listener(self._start_run, self._end_step))

    def release(self) -> None:
        """Stop watching, and let go of whoever was told."""
        if self._unwatch is not None:
            self._unwatch()
        self._unwatch = None

    @property
    def runs_own_code(self) -> bool:
        """Whether its step, or a method that was put on it, is somebody's own."""
        return self.has_own_step or has_own_methods(self.scheduler)

    def _new_run(self, live: bool, announced: Any) -> SchedulerRun:
        return SchedulerRun(self.scheduler, announced, next(self._numbers), this_thread(), live)

    def _start_run(self) -> None:
        self.run = self._new_run(True, self.scheduler.timesteps)
        self._turned, self.handed = 0, None
        self.has_own_step = has_own_step(self.scheduler)
        self.moved = self.run.number
        self.on_run()

    def _end_step(self, timestep: Any, sample: Any, result: Any) -> None:
        run, self.handed = self.run, HandedLatent(result)
        if (run.mixed or run.thread != this_thread()) and self.in_pipeline():
            self._refuse(run)
        last = run.end_step(timestep)
        self.moved = next(self._numbers)
        if run.is_unheard:
            self.on_unheard()
        if not self.has_own_step:
            self.on_step(run.number, sample, result)
        if last is not None:
            self.on_end(run.number, last)

    def tick(self, timestep: Any, declared: Any = None) -> StepClock | None:
        """The step of a denoiser call with this timestep; None if it is not of this scheduler's run.

        Args:
            timestep: what the denoiser is called with.
            declared: how many steps the pipeline says there are, if it says so; it may stop early.

        Raises:
            PipelineInUseError: another thread samples with the same pipeline.
        """
        run = self.run
        if run.mixed or run.thread != this_thread():
            if self.in_pipeline():
                self._refuse(run)
            if not run.points_at(timestep):  # somebody else's loop
                return None
            run.thread, run.hops = this_thread(), run.hops + 1
        step = run.tick(timestep, declared, may_look=lambda: not self.in_pipeline())
        if run.turned_back and not run.has_stepped:
            self._turned += 1
            run.wanders = self._turned > 1
        if run.wanders or not run.turned_back:
            return step
        self.run = self._new_run(run.live, run.announced)
        self.moved = self.run.number
        return self.run.tick(timestep, declared)

    def _refuse(self, run: SchedulerRun) -> None:
        """Both threads are told: their steps may have been mixed up already."""
        run.mixed = True
        raise PipelineInUseError(
            "another thread samples with the same pipeline, or one that shares its scheduler, which keeps "
            "the steps of one run. Make a pipeline for each thread: mmcache.clone_pipeline(pipe)"
        )
