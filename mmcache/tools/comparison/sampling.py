"""What one run of a pipeline gave, and what it took."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np


@dataclass(frozen=True, eq=False)
class Sampling:
    """One call of the pipeline, or the same call several times.

    Attributes:
        pictures: (N, H, W, C), float, in [0, 1], as the pipeline gave them (not rounded to 8 bits); of clips
            (N, F, H, W, C).
        seconds: wall time of the call; the median of several.
        denoiser_seconds: the part of it that the denoisers took, side networks such as ControlNets included.
        peak_memory: the most bytes in use at any time (`peak_memory.watch_memory`); None where not known.
        seconds_each: wall time of each of several calls.
    """

    pictures: np.ndarray
    seconds: float
    denoiser_seconds: float
    peak_memory: int | None = None
    seconds_each: tuple[float, ...] = ()

    @property
    def stills(self) -> np.ndarray:
        """Pictures or frames alike, (N or N * F, H, W, C)."""
        return self.pictures.reshape(-1, *self.pictures.shape[-3:])


def together(calls: Sequence[Sampling]) -> Sampling:
    """The same call several times as one: the median of its seconds, the most of its memory."""
    memory = [call.peak_memory for call in calls if call.peak_memory is not None]
    return replace(
        calls[0],
        seconds=median(call.seconds for call in calls),
        denoiser_seconds=median(call.denoiser_seconds for call in calls),
        peak_memory=max(memory, default=None),
        seconds_each=tuple(call.seconds for call in calls),
    )
