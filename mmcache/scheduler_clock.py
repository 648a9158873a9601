"""The clock of a pipeline: its own scheduler, watched.

`set_timesteps` starts a run and `step` ends a step. Where the timestep that reaches the denoiser is still
a view into the scheduler's table of timesteps, as in nearly all pipelines, its place in that table's
memory is the exact index: no value is compared (samplers such as Heun and PNDM repeat values) and no
device is waited for. That also tells tiles (MultiDiffusion calls `step` once per tile) from steps.
"""

import functools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, ClassVar, NamedTuple

import torch
from diffusers import DiffusionPipeline

from mmcache.caller import calling_pipelines
from mmcache.clock import StepClock


def index_in_table(timestep: Any, table: torch.Tensor) -> int | None:
    """Which entry of `table` the tensor `timestep` is a view of; None if it is not one."""
    if not isinstance(timestep, torch.Tensor) or timestep.dtype != table.dtype or table.dim() != 1:
        return None
    if timestep.device != table.device or table.stride(0) == 0:
        return None
    if timestep.untyped_storage().data_ptr() != table.untyped_storage().data_ptr():
        return None
    index, rest = divmod(int(timestep.storage_offset()) - int(table.storage_offset()), table.stride(0))
    return index if rest == 0 and 0 <= index < len(table) else None


class Listener(NamedTuple):
    """Who is told when a run of a scheduler starts and when a step ends."""

    on_run: Callable[[], None]
    on_step: Callable[[], None]


def watch(scheduler: Any, listener: Listener) -> Callable[[], None]:
    """Let a listener hear of a scheduler's runs and steps; returns the undo.

    The instance is given a subclass of its own class, one for all listeners. A method shadowed on the
    instance would be copied along by pipelines that deep-copy their scheduler, and would then step the
    original. Copies and instances made from the subclass are of the plain class.
    """
    if not hasattr(type(scheduler), "mmcache_listeners"):
        scheduler.__class__ = watched_class(type(scheduler))
    watched = type(scheduler)
    watched.mmcache_listeners.append(listener)

    def undo() -> None:
        watched.mmcache_listeners.remove(listener)
        if not watched.mmcache_listeners:
            scheduler.__class__ = watched.__base__

    return undo


def instance_of(cls: Any) -> Any:
    return cls.__new__(cls)


def watched_class(plain: Any) -> Any:
    """A subclass of a scheduler's class, for one instance, that tells its listeners."""

    class Watched(plain):
        mmcache_listeners: ClassVar[list[Listener]] = []

        def __reduce_ex__(self, protocol: Any) -> Any:
            return instance_of, (plain,), self.__dict__

        @functools.wraps(plain.set_timesteps)
        def set_timesteps(self, *args: Any, **kwargs: Any) -> Any:
            result = plain.set_timesteps(self, *args, **kwargs)
            for listener in list(self.mmcache_listeners):
                listener.on_run()
            return result

        @functools.wraps(plain.step)
        def step(self, *args: Any, **kwargs: Any) -> Any:
            result = plain.step(self, *args, **kwargs)
            for listener in list(self.mmcache_listeners):
                listener.on_step()
            return result

    @functools.wraps(plain.__init__)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        self.__class__ = plain  # made by `type(scheduler).from_config(...)`
        plain.__init__(self, *args, **kwargs)

    Watched.__init__ = init  # type: ignore[method-assign]
    # Pipelines look at the name and the signatures of their scheduler.
    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(Watched, name, getattr(plain, name))
    return Watched


class SchedulerClock:
    """The clock of everything in `owner` (a pipeline) that is driven by `owner.scheduler`.

    Args:
        owner: has the attribute `scheduler`; it may be replaced at any time. If it is a pipeline, calls
            that another pipeline makes are not of this clock.
        on_run: called when a run starts.
    """

    def __init__(self, owner: Any, on_run: Callable[[], None] | None = None) -> None:
        self.owner = owner
        self.on_run = on_run
        self.run = 0
        self._undo = ExitStack()
        self._watch()

    def _watch(self) -> None:
        self._undo.close()
        self.scheduler = self.owner.scheduler
        self._undo.callback(watch(self.scheduler, Listener(self._start_run, self._end_step)))
        self._announced = getattr(self.scheduler, "timesteps", None)
        # Watched in the middle of a run, if somebody has called its set_timesteps already.
        self._live = getattr(self.scheduler, "num_inference_steps", None) is not None
        self._new_run()

    def _start_run(self) -> None:
        self._announced = self.scheduler.timesteps
        self._live = True
        self._new_run()
        if self.on_run is not None:
            self.on_run()

    def _new_run(self) -> None:
        self.run += 1
        self._table: torch.Tensor | None = None  # read at the first tick: pipelines adjust it until then
        self._times: list[float] = []
        self._first = 0
        self._index = -1
        self._steps_ended = 0
        self._total = 0

    def _end_step(self) -> None:
        self._steps_ended += 1

    def tick(self, timestep: Any, sample: torch.Tensor) -> StepClock | None:
        callers = calling_pipelines() if isinstance(self.owner, DiffusionPipeline) else []
        if callers and not any(caller is self.owner for caller in callers):
            return None  # another pipeline shares the denoiser
        if self.owner.scheduler is not self.scheduler:
            self._watch()
        if getattr(self.scheduler, "timesteps", None) is None:
            return None
        index = self._locate(timestep)
        if index is None:  # the run is over, or another scheduler drives this call
            self._live = False
            return None
        if index < self._index:  # someone's own loop begins again without set_timesteps
            self._new_run()
            index = self._locate(timestep) or 0
        if self._index < 0:
            self._first = index
            self._total = self._count(callers)
        self._index = index
        return StepClock(self.run, index - self._first, self._total, self._times[index])

    def _locate(self, timestep: Any) -> int | None:
        """The index of this call in the scheduler's timesteps; None if it is not of a run."""
        if self._table is None:
            self._table = self._table_of(timestep)
            self._times = [float(time) for time in self._table.tolist()]
            self._begin = self._first_index(timestep)
        index = index_in_table(timestep, self._table)
        if index is None and self._live:
            index = self._begin + self._steps_ended
        return index if index is not None and index < len(self._times) else None

    def _table_of(self, timestep: Any) -> torch.Tensor:
        """The scheduler's timesteps as they are now: pipelines adjust them after `set_timesteps`.

        Unless this timestep is a view of those that `set_timesteps` made: MultiDiffusion goes on with
        them, and gives the scheduler a copy of its state per tile.
        """
        tables = [torch.as_tensor(table) for table in (self.scheduler.timesteps, self._announced)]
        return next((table for table in tables if index_in_table(timestep, table) is not None), tables[0])

    def _first_index(self, timestep: Any) -> int:
        """Where the run starts, for pipelines whose timesteps do not show it: one look at the value."""
        begin = getattr(self.scheduler, "begin_index", None)
        if begin is not None:
            return int(begin)
        value = float(torch.as_tensor(timestep).flatten()[0])
        return self._times.index(value) if value in self._times else 0

    def _count(self, callers: list[Any]) -> int:
        """Steps from the first one on; fewer if the pipeline stops early (`denoising_end`)."""
        left = len(self._times) - self._first
        declared = getattr(callers[0], "_num_timesteps", None) if callers else None
        return min(left, declared) if isinstance(declared, int) and declared > 0 else left

    def release(self) -> None:
        self._undo.close()
        self.on_run = None  # so that nothing keeps the pipeline alive
