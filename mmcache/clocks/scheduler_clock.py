"""The clock of one diffusers scheduler, watched.

`set_timesteps` starts a run and `step` ends a step. Where the timestep that reaches the denoiser is still
a view into the scheduler's table of timesteps, as in nearly all pipelines, its place in that table's
memory is the exact index: no value is compared (samplers such as Heun and PNDM repeat values) and no
device is waited for. That also tells tiles (MultiDiffusion calls `step` once per tile) from steps.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch

from mmcache.clocks.clock import StepClock
from mmcache.patching.scheduler_patch import Listener, watch


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


class SchedulerClock:
    """Tells the steps of everything that one scheduler drives.

    Args:
        scheduler: is watched until `release`.
        numbers: rising numbers, shared by the clocks of a pipeline: its runs are counted by them, and
            what happened last at which scheduler is compared by them.
        on_run: called when a run starts.
        on_end: called when the last step of a run has ended, with the run's number and that step.

    Attributes:
        moved: the number of the last start of a run or end of a step.
        live: whether a run is going on, as far as the scheduler shows.
    """

    def __init__(
        self,
        scheduler: Any,
        numbers: Iterator[int],
        on_run: Callable[[], None],
        on_end: Callable[[int, int], None],
    ) -> None:
        self.scheduler = scheduler
        self.on_run = on_run
        self.on_end = on_end
        self.moved = 0
        self._numbers = numbers
        self._announced = getattr(scheduler, "timesteps", None)
        # Watched in the middle of a run, if somebody has called its set_timesteps already.
        # Some do not note how many steps they were set to, but have no timesteps before.
        self.live = getattr(scheduler, "num_inference_steps", self._announced) is not None
        self._new_run()
        self.release = watch(scheduler, Listener(self._start_run, self._end_step))

    def _start_run(self) -> None:
        self._announced = self.scheduler.timesteps
        self.live = True
        self._new_run()
        self.on_run()

    def _new_run(self) -> None:
        self.run = self.moved = next(self._numbers)
        self._table: torch.Tensor | None = None  # read at the first tick: pipelines adjust it until then
        self._times: list[float] = []
        self._begin = 0
        self._first = 0
        self._index = -1
        self._steps_ended = 0
        self._total = 0
        self._mixed: bool | None = None
        self._pointed = False  # whether the denoiser's own timestep has shown the step

    def _end_step(self, timestep: Any) -> None:
        if self._steps_ended == 0 and self._table is not None:
            self._begin_at(index_in_table(timestep, self._table))
        self._steps_ended += 1
        self.moved = next(self._numbers)
        step = self._index - self._first
        if self._index >= 0 and step >= self._total - 1:
            self.on_end(self.run, step)

    def _begin_at(self, index: int | None) -> None:
        """Where the run has started, as its first step shows; not all denoisers are told the time."""
        if index is not None and self._index >= 0 and not self._pointed:
            later = index - self._index
            self._begin, self._first, self._index = self._begin + later, self._first + later, index
            self._total -= later

    def points_at(self, timestep: Any) -> bool:
        """Whether this timestep is an entry of the scheduler's own timesteps."""
        return any(index_in_table(timestep, table) is not None for table in self._tables())

    def tick(self, timestep: Any, declared: Any = None) -> StepClock | None:
        """The step of a denoiser call with this timestep; None if it is not of this scheduler's run.

        Args:
            timestep: what the denoiser is called with.
            declared: how many steps the pipeline says there are, if it says so; it may stop early.
        """
        if not self._tables() or self._is_mixed(timestep):
            return None
        index = self._locate(timestep)
        if index is None:  # the run is over, or another scheduler drives this call
            self.live = False
            return None
        if index < self._index:  # someone's own loop begins again without set_timesteps
            self._new_run()
            index = self._locate(timestep) or 0
        if self._index < 0:
            self._first = index
            left = len(self._times) - index
            self._total = min(left, declared) if isinstance(declared, int) and declared > 0 else left
        self._index = index
        return StepClock(self.run, index - self._first, self._total, self._times[index])

    def _is_mixed(self, timestep: Any) -> bool:
        """Whether the calls of this run are at several timesteps at once: then no step is before another.

        A row for each latent, with a time for each frame or token, tells the latest of them: frames that are
        given have less noise, or none. Where more than two of the times are steps of this run, it is
        diffusion forcing. Looked at once per run, and only where a vector of timesteps does not show that it
        is one, repeated.
        """
        if self._mixed is None:
            several = isinstance(timestep, torch.Tensor) and timestep.numel() > 1 and any(timestep.stride())
            rows = timestep.reshape(timestep.shape[0], -1) if several else None
            self._mixed = rows is not None and (
                bool((rows.amax(1) != rows.max()).any())
                or len(set(rows[0].tolist()) & set(self._tables()[0].tolist())) > 2
            )
        return self._mixed

    def _locate(self, timestep: Any) -> int | None:
        """The index of this call in the scheduler's timesteps; None if it is not of a run."""
        if self._table is None:
            self._table = self._table_of(timestep)
            self._times = [float(time) for time in self._steps_in(self._table).tolist()]
            self._begin = self._first_index(timestep)
        index = index_in_table(timestep, self._table)
        self._pointed = index is not None
        if index is None and self.live:
            index = self._begin + self._steps_ended
        return index if index is not None and index < len(self._times) else None

    def _tables(self) -> list[torch.Tensor]:
        tables = getattr(self.scheduler, "timesteps", None), self._announced
        return [torch.as_tensor(table) for table in tables if table is not None]

    def _table_of(self, timestep: Any) -> torch.Tensor:
        """The scheduler's timesteps as they are now: pipelines adjust them after `set_timesteps`.

        Unless this timestep is a view of those that `set_timesteps` made: MultiDiffusion goes on with
        them, and gives the scheduler a copy of its state per tile.
        """
        tables = self._tables()
        return next((table for table in tables if index_in_table(timestep, table) is not None), tables[0])

    def _steps_in(self, table: torch.Tensor) -> torch.Tensor:
        """Without a last entry that is where the last step ends, which some samplers have among them."""
        sigmas = getattr(self.scheduler, "sigmas", None)
        is_end = sigmas is not None and len(sigmas) == len(table) > 1 and sigmas[-1] == 0
        return table[:-1] if is_end else table

    def _first_index(self, timestep: Any) -> int:
        """Where the run starts, for pipelines whose timesteps do not show it: one look at the value."""
        begin = getattr(self.scheduler, "begin_index", None)
        if begin is not None:
            return int(begin)
        if timestep is None:
            return 0
        value = float(torch.as_tensor(timestep).max())
        # Many transformers are told a timestep as a share of those of training: 1.0 is the first one.
        config = getattr(self.scheduler, "config", None)
        whole = value * getattr(config, "num_train_timesteps", 1)
        shares = (i for i, time in enumerate(self._times) if math.isclose(time, whole, rel_tol=1e-4))
        return next(shares, self._times.index(value) if value in self._times else 0)
