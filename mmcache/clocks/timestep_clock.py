"""The clock of a bare model in someone's own loop: the timesteps it is called with."""

from typing import Any

import torch

from mmcache.clocks.clock import StepClock


class TimestepClock:
    """A step ends when the timestep changes; a run ends when it turns back.

    Calls with the same timestep and the same sample are lanes of one step; with another sample a new run
    begins. It reads values, which on a GPU waits for the device at every call, and it cannot know how many
    steps are to come, so features are held until the next run or `restore`.
    `accelerate(model, scheduler=...)` has none of these limits.
    """

    def __init__(self) -> None:
        self.run = 1
        self._times: list[float] = []
        self._sample: torch.Tensor | None = None

    def tick(self, timestep: Any, sample: torch.Tensor) -> StepClock:
        time = float(torch.as_tensor(timestep).max())
        if self._begins_again(time, sample):
            self.run += 1
            self._times = []
        if not self._times or time != self._times[-1]:
            self._times.append(time)
            self._sample = sample.detach().clone()
        return StepClock(self.run, len(self._times) - 1, None, time)

    def _begins_again(self, time: float, sample: torch.Tensor) -> bool:
        if not self._times:
            return False
        if time == self._times[-1]:
            return self._sample is None or not torch.equal(sample, self._sample)
        if len(self._times) == 1:
            return False
        return (time - self._times[-1]) * (self._times[1] - self._times[0]) < 0

    def release(self) -> None:
        self._sample = None
