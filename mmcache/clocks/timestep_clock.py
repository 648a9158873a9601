"""The clock of a bare model in someone's own loop: the timesteps and latents it is called with.

Each image is a run of its own, however the calls of several are mixed: a call goes on with the run whose
latent it continues. What is called at random timesteps, with fresh noise, or once is no run, and every call
is full.
"""

import itertools
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from mmcache.clocks.clock import StepClock
from mmcache.clocks.latents import ALIKE, Latent, is_step_from, most_alike, tensors_in

MOST_AT_ONCE = 8  # runs that are open at once; of more images in one loop, the oldest begin anew
FURTHER = 4  # than at the step before; a window that a loop has moved is further off
LEAST = 3  # calls before it is said that none of them was a step


class TimestepRun:
    """One image on its way.

    Attributes:
        number: of the run.
        times: of its steps so far.
        latent: that of its last step, a copy.
        returned: what the denoiser has returned in the calls of that step.
        sure: it is one: its latents were seen to be those of a sampler, at two steps in turn, and have gone
            on so since. One step alone may be that of a teacher, which distillations ask for what comes
            behind a noised image.
    """

    def __init__(self, number: int, time: float, latent: Latent) -> None:
        self.number = number
        self.times = [time]
        self.latent = [tensor.detach().clone() for tensor in latent]
        self.returned: list[torch.Tensor] = []
        self.sure = self._made = False
        self._moved = 0.0  # how far, at the last step: 1 less the cosine

    @property
    def clock(self) -> StepClock:
        return StepClock(self.number, len(self.times) - 1, None, self.times[-1], self.sure, own_code=True)

    def has(self, time: float, latent: Latent) -> bool:
        """Whether a call is one more of the step that is going on."""
        return time == self.times[-1] and same(latent, self.latent)

    def may_go_on_at(self, time: float) -> bool:
        """Whether the time goes on, in the direction in which it went so far."""
        step = time - self.times[-1]
        return step != 0 and (len(self.times) == 1 or step * (self.times[1] - self.times[0]) > 0)

    def makes(self, latent: Latent) -> bool:
        """Whether a latent is a sampler's step from this run's last one."""
        fits = latent[0].shape[1:] == self.latent[0].shape[1:]
        return fits and is_step_from(latent[0], self.latent[0], self.returned)

    def enter(self, time: float, latent: Latent, alike: float) -> None:
        """Begin a step with a latent that is so much like the last one."""
        moved = 1 - alike
        made = (self.sure and moved <= FURTHER * self._moved) or self.makes(latent)
        self.sure, self._made = made and (self.sure or self._made), made
        self._moved = moved if made else 0.0
        self.times.append(time)
        self.latent = [tensor.detach().clone() for tensor in latent]
        self.returned = []


def same(one: Latent, other: Latent) -> bool:
    return len(one) == len(other) and all(torch.equal(*pair) for pair in zip(one, other, strict=True))


class RunsOfThread(threading.local):
    """The open runs of a thread, the one called last at the end.

    Attributes:
        called: the run of the last call.
    """

    def __init__(self) -> None:
        self.open: list[TimestepRun] = []
        self.called: TimestepRun | None = None


class TimestepClock:
    """A step ends when the timestep changes; a run ends when it turns back. Each thread has runs of its own.

    It reads values, which on a GPU waits for the device at every call, and it cannot know how many steps are
    to come, so features are held until the next runs or `restore`. A run is believed once two latents in turn
    were made of the one before and of what the denoiser returned, as they are by every sampler that adds no
    noise. Where noise is added, or values are clipped, every step is full.
    `accelerate(model, scheduler=...)` has none of these limits.
    """

    def __init__(self, numbers: Iterator[int] | None = None) -> None:
        self._numbers = itertools.count(1) if numbers is None else numbers
        self._of_thread = RunsOfThread()
        self._calls = self._doubtful = self._lost = 0

    @property
    def runs_at_once(self) -> int:
        return MOST_AT_ONCE

    def tick(self, timestep: Any, sample: Any, hooked: bool = False) -> StepClock:
        time = float(torch.as_tensor(timestep).max())
        latent = tensors_in(sample)
        runs = self._of_thread
        runs.called = None
        known = [run for run in runs.open if run.sure]
        run = self._going_on(runs.open, time, latent)
        self._lost += run is not None and run in known and not run.sure
        if run is None:
            run = TimestepRun(next(self._numbers), time, latent)
        runs.open = [*(one for one in runs.open if one is not run), run][-MOST_AT_ONCE:]
        runs.called = run
        self._calls += 1
        self._doubtful += not run.sure
        return run.clock

    def _going_on(self, runs: Sequence[TimestepRun], time: float, latent: Latent) -> TimestepRun | None:
        """The run that a call belongs to, at its next step; None for one that begins a run.

        Of a call that is one more of a run's step, a run that was called since may have made the latent: a
        loop that draws the same image again is at the step at which the first one has ended.
        """
        place = next((i for i in reversed(range(len(runs))) if runs[i].has(time, latent)), None)
        since = runs if place is None else runs[place + 1 :]
        later = [run for run in reversed(since) if run.may_go_on_at(time)]
        number, alike = most_alike(latent, [run.latent for run in later])
        if later and alike >= ALIKE and (place is None or later[number].makes(latent)):
            later[number].enter(time, latent, alike)
            return later[number]
        if place is not None:
            return runs[place]
        found = next((run for run in later if run.makes(latent)), None)  # few steps are long ones
        if found is not None:
            found.enter(time, latent, alike=-1.0)
        return found

    def is_handed_on(self) -> bool:
        return True  # its runs are told by their latents

    def returned(self, result: Any) -> None:
        run = self._of_thread.called
        if run is not None:
            run.returned += [tensor.detach() for tensor in tensors_in(result)[:1]]

    @property
    def remark(self) -> str:
        if self._lost:
            return (
                "its latents did not always go on as those of a sampler (windows that move, say), so some "
                "steps were full: pass the scheduler of your loop, accelerate(model, scheduler=scheduler)"
            )
        if self._calls < LEAST or self._doubtful < self._calls:
            return ""
        return (
            "its calls do not look like the steps of a sampling run, so all were full: pass the scheduler of "
            "your loop, accelerate(model, scheduler=scheduler)"
        )

    def release(self) -> None:
        self._of_thread = RunsOfThread()
        self._calls = self._doubtful = self._lost = 0
