"""One run of a diffusers scheduler: from `set_timesteps` to its last step. New for every run.

Where the timestep that reaches the denoiser is still a view into the scheduler's table of timesteps, as in
nearly all pipelines, its place in that table's memory is the exact index. No value is compared (samplers
such as Heun and PNDM repeat values), and no device is waited for. That also tells tiles (MultiDiffusion
calls `step` once per tile) from steps.
"""

import math
import threading
from collections.abc import Callable
from typing import Any
from weakref import ref

import torch

from mmcache.clocks.clock import StepClock

Thread = ref[threading.Thread]


def this_thread() -> Thread:
    """Which thread calls. Numbers do not tell: one that ends leaves its number to the next."""
    return ref(threading.current_thread())


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


def tables_of(scheduler: Any, announced: Any) -> list[torch.Tensor]:
    """The timesteps of a scheduler as they are now, and as `set_timesteps` announced them."""
    tables = getattr(scheduler, "timesteps", None), announced
    return [torch.as_tensor(table) for table in tables if table is not None]


class Timetable:
    """The timesteps of one run, read at its first denoiser call: pipelines adjust them until then.

    Args:
        scheduler: the run's.
        announced: the timesteps that `set_timesteps` made.
        timestep: what the denoiser is called with first.

    Attributes:
        times: the timestep of each step.
        begin: where the run starts, for denoisers whose timestep does not show it.
    """

    def __init__(self, scheduler: Any, announced: Any, timestep: Any) -> None:
        tables = tables_of(scheduler, announced)
        # Unless this timestep is a view of those that `set_timesteps` made: MultiDiffusion goes on with them,
        # and gives the scheduler a copy of its state per tile.
        self._table = next((t for t in tables if index_in_table(timestep, t) is not None), tables[0])
        self.times = [float(time) for time in without_end(scheduler, self._table).tolist()]
        self.begin = self._first_index(scheduler, timestep)

    def index_of(self, timestep: Any) -> int | None:
        """The index that a timestep shows by being an entry of the table; None if it is not one."""
        return index_in_table(timestep, self._table)

    def _first_index(self, scheduler: Any, timestep: Any) -> int:
        """Where the run starts, for pipelines whose timesteps do not show it: one look at the value."""
        begin = getattr(scheduler, "begin_index", None)
        if begin is not None:
            return int(begin)
        if timestep is None:
            return 0
        value = float(torch.as_tensor(timestep).max())
        # Many transformers are told a timestep as a share of those of training: 1.0 is the first one.
        config = getattr(scheduler, "config", None)
        as_trained = value * getattr(config, "num_train_timesteps", 1)
        shares = (i for i, time in enumerate(self.times) if math.isclose(time, as_trained, rel_tol=1e-4))
        return next(shares, self.times.index(value) if value in self.times else 0)


def without_end(scheduler: Any, table: torch.Tensor) -> torch.Tensor:
    """Without a last entry that is where the last step ends, which some samplers have among them."""
    sigmas = getattr(scheduler, "sigmas", None)
    is_end = sigmas is not None and len(sigmas) == len(table) > 1 and sigmas[-1] == 0
    return table[:-1] if is_end else table


LEAST_STEPS = 3  # without a call of the denoiser


class SchedulerRun:
    """Where one run of a scheduler stands.

    Args:
        scheduler: the scheduler.
        announced: the timesteps that `set_timesteps` made.
        number: of the run.
        thread: who started it.
        live: whether `set_timesteps` was seen to start it, or it may be going on already.

    Attributes:
        mixed: another thread has sampled with the same scheduler meanwhile.
        turned_back: a call was at an earlier step: someone's own loop begins again without `set_timesteps`.
        hops: how often the thread has changed from which somebody's own loop calls.
        wanders: calls are at several times although no step has ended: an inversion by hand, a loss at random
            timesteps. Nothing tells their steps.
    """

    def __init__(self, scheduler: Any, announced: Any, number: int, thread: Thread, live: bool) -> None:
        self.number = number
        self.thread = thread
        self.live = live
        self.mixed = self.turned_back = self.wanders = False
        self.hops = 0
        self._called: tuple[int, Any] | None = (
            None  # the steps that had ended at the last call, and its timestep
        )
        self._scheduler = scheduler
        self.announced = announced
        self._timetable: Timetable | None = None
        self._forced: bool | None = None  # whether frames are at several steps at once
        self._pointed = False  # whether the denoiser's own timestep has shown the step
        self._begin = self._first = self._total = self._steps_ended = self._calls = 0
        self._index = self._ended_index = -1
        self._ended_at_call = 0  # the steps that had ended at the last call
        self._ended_here = self._ended_each = 0  # how often a step was ended: once for each tile

    def points_at(self, timestep: Any) -> bool:
        """Whether this timestep is an entry of the scheduler's own timesteps."""
        tables = tables_of(self._scheduler, self.announced)
        return any(index_in_table(timestep, table) is not None for table in tables)

    def end_step(self, timestep: Any) -> int | None:
        """A step has ended; returns its number if it was the last one of the run, with its last tile."""
        if self._steps_ended == 0 and self._timetable is not None:
            self._begin_at(self._timetable.index_of(timestep))
        self._steps_ended += 1
        if self._index != self._ended_index:
            self._ended_index, self._ended_each, self._ended_here = self._index, self._ended_here, 0
        self._ended_here += 1
        step = self._index - self._first
        is_last = self._index >= 0 and step >= self._total - 1 and self._ended_here >= self._ended_each
        return step if is_last else None

    def _begin_at(self, index: int | None) -> None:
        """Where the run has started, as its first step shows; not all denoisers are told the time."""
        if index is not None and self._index >= 0 and not self._pointed:
            later = index - self._index
            self._begin, self._first, self._index = self._begin + later, self._first + later, index
            self._total -= later

    @property
    def is_unheard(self) -> bool:
        """Whether enough steps have just ended to wonder why no call of a denoiser has come."""
        return self._steps_ended == LEAST_STEPS and self._calls == 0

    @property
    def calls_before_step(self) -> int:
        """How many calls there were, as long as no step has ended and no timestep has shown one."""
        return 0 if self.has_stepped or self._pointed else self._calls

    @property
    def has_stepped(self) -> bool:
        """Whether a step of this run has ended."""
        return self._steps_ended > 0

    def tick(
        self, timestep: Any, declared: Any, may_look: Callable[[], bool] = lambda: True
    ) -> StepClock | None:
        """The step of a denoiser call with this timestep; None if it is not of this run.

        Args:
            timestep: what the denoiser is called with.
            declared: how many steps the pipeline says there are, if it says so; it may stop early.
            may_look: whether to look at the value of a timestep that shows no step, if need be.
        """
        if self.wanders or not tables_of(self._scheduler, self.announced) or self._is_forced(timestep):
            return None
        index = self._locate(timestep)
        self._calls += 1
        if self._passes_steps(index, may_look) if self._pointed else self._has_moved(timestep, may_look):
            self.wanders, self.live = True, False
        if (
            index is None or self.wanders or self._timetable is None
        ):  # the run is over, or another scheduler drives this call
            self.live = False
            return None
        if index < self._index:
            self.turned_back = True
            return None
        if self._index < 0:
            left = len(self._timetable.times) - index
            self._first = index
            self._total = min(left, declared) if isinstance(declared, int) and declared > 0 else left
        self._index = index
        return StepClock(self.number, index - self._first, self._total, self._timetable.times[index])

    def _passes_steps(self, index: int | None, may_look: Callable[[], bool]) -> bool:
        """Whether someone's own loop takes timesteps from the scheduler, and never a step.

        So do losses at these timesteps and score distillation, but also samplers written by hand.
        """
        ended, self._ended_at_call = self._ended_at_call, self._steps_ended
        passed = index is not None and index > self._index >= 0 and ended == self._steps_ended
        return passed and may_look()

    def _has_moved(self, timestep: Any, may_look: Callable[[], bool]) -> bool:
        """Whether a further call in a step is at another time than the one before it.

        It looks at values only in someone's own loop, at calls within one step whose timesteps are other
        objects.
        """
        called, self._called = self._called, (self._steps_ended, timestep)
        if called is None or called[0] != self._steps_ended or called[1] is timestep or timestep is None:
            return False
        return may_look() and float(torch.as_tensor(called[1]).max()) != float(
            torch.as_tensor(timestep).max()
        )

    def _locate(self, timestep: Any) -> int | None:
        """The index of this call in the scheduler's timesteps; None if it is not of a run."""
        if self._timetable is None:
            if not tables_of(self._scheduler, self.announced):
                return None
            self._timetable = Timetable(self._scheduler, self.announced, timestep)
            self._begin = self._timetable.begin
        index = self._timetable.index_of(timestep)
        self._pointed = index is not None
        if index is None and self.live:
            index = self._begin + self._steps_ended
        return index if index is not None and index < len(self._timetable.times) else None

    def _is_forced(self, timestep: Any) -> bool:
        """Whether the calls of this run are at several timesteps at once: then no step is before another.

        A row for each latent, with a time for each frame or token, tells the latest of them: frames that are
        given have less noise, or none. Where more than two of the times are steps of this run, it is
        diffusion forcing. Looked at once per run, and only where a vector of timesteps does not show that it
        is one, repeated.
        """
        if self._forced is None:
            several = isinstance(timestep, torch.Tensor) and timestep.numel() > 1 and any(timestep.stride())
            rows = timestep.reshape(timestep.shape[0], -1) if several else None
            table = tables_of(self._scheduler, self.announced)[0]
            self._forced = rows is not None and (
                bool((rows.amax(1) != rows.max()).any())
                or len(set(rows[0].tolist()) & set(table.tolist())) > 2
            )
        return self._forced
