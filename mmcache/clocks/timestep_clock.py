"""The clock of a bare model in someone's own loop: the timesteps it is called with."""

import itertools
import threading
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from mmcache.clocks.clock import StepClock


class TimestepRun:
    """The times of one run so far, and the sample of its last step."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.times: list[float] = []
        self.sample: list[torch.Tensor] = []

    def enter(self, time: float, sample: list[torch.Tensor]) -> StepClock:
        """The step of a call at this time."""
        if not self.times or time != self.times[-1]:
            self.times.append(time)
            self.sample = [tensor.detach().clone() for tensor in sample]
        return StepClock(self.number, len(self.times) - 1, None, time)

    def is_over(self, time: float, sample: list[torch.Tensor]) -> bool:
        """Whether a call at this time begins another run: the time turns back, or the sample is another."""
        if not self.times:
            return False
        if time == self.times[-1]:
            pairs = zip(sample, self.sample, strict=False)
            return len(sample) != len(self.sample) or not all(torch.equal(*pair) for pair in pairs)
        if len(self.times) == 1:
            return False
        return (time - self.times[-1]) * (self.times[1] - self.times[0]) < 0


class TimestepClock:
    """A step ends when the timestep changes; a run ends when it turns back. Each thread has runs of its own.

    Calls with the same timestep and the same sample are lanes of one step; with another sample a new run
    begins. It reads values, which on a GPU waits for the device at every call, and it cannot know how many
    steps are to come, so features are held until the next run or `restore`.
    `accelerate(model, scheduler=...)` has none of these limits.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._of_thread = threading.local()

    def tick(self, timestep: Any, sample: Any) -> StepClock:
        time = float(torch.as_tensor(timestep).max())
        tensors = [leaf for leaf in tree_leaves(sample) if isinstance(leaf, torch.Tensor)]
        run: TimestepRun | None = getattr(self._of_thread, "run", None)
        if run is None or run.is_over(time, tensors):
            run = self._of_thread.run = TimestepRun(next(self._numbers))
        return run.enter(time, tensors)

    def release(self) -> None:
        self._of_thread = threading.local()
