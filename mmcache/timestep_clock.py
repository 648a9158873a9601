"""The clock of a bare model in someone's own loop: the timesteps it is called with."""

from typing import Any

import torch

from mmcache.clock import StepClock


class TimestepClock:
    """A step ends when the timestep changes; a run ends when it turns back.

    It reads the timestep's value, which on a GPU waits for the device once per call, and it cannot know
    how many steps are to come. `accelerate(model, scheduler=...)` has neither limit.
    """

    knows_total = False

    def __init__(self) -> None:
        self.run = 1
        self._times: list[float] = []

    def tick(self, timestep: Any) -> StepClock:
        time = float(torch.as_tensor(timestep).flatten()[0])
        if not self._times or time != self._times[-1]:
            if self._turns_back(time):
                self.run += 1
                self._times = []
            self._times.append(time)
        return StepClock(self.run, len(self._times) - 1, None, time)

    def _turns_back(self, time: float) -> bool:
        if len(self._times) < 2:
            return False
        return (time - self._times[-1]) * (self._times[1] - self._times[0]) < 0

    def release(self) -> None:
        """Nothing was watched."""
