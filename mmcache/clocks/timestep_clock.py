"""The clock of a bare model in someone's own loop: the timesteps it is called with."""

from typing import Any

import torch
from torch.utils._pytree import tree_leaves

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
        self._sample: list[torch.Tensor] = []

    def tick(self, timestep: Any, sample: Any) -> StepClock:
        time = float(torch.as_tensor(timestep).max())
        tensors = [leaf for leaf in tree_leaves(sample) if isinstance(leaf, torch.Tensor)]
        if self._begins_again(time, tensors):
            self.run += 1
            self._times = []
        if not self._times or time != self._times[-1]:
            self._times.append(time)
            self._sample = [tensor.detach().clone() for tensor in tensors]
        return StepClock(self.run, len(self._times) - 1, None, time)

    def _begins_again(self, time: float, sample: list[torch.Tensor]) -> bool:
        if not self._times:
            return False
        if time == self._times[-1]:
            pairs = zip(sample, self._sample, strict=False)
            return len(sample) != len(self._sample) or not all(torch.equal(*pair) for pair in pairs)
        if len(self._times) == 1:
            return False
        return (time - self._times[-1]) * (self._times[1] - self._times[0]) < 0

    def release(self) -> None:
        self._sample = []
