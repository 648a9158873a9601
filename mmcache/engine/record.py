"""What is noted of each denoiser call, for the report."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property

import torch

from mmcache.clocks.clock import StepClock


class Stopwatch:
    """Times one denoiser call where it runs; on a GPU by events, so that nobody waits for the device.

    On a device that is neither CPU nor CUDA it is the time until the call returned, which is too short
    where the device works on.
    """

    def __init__(self, tensor: torch.Tensor) -> None:
        self._events = [torch.cuda.Event(enable_timing=True) for _ in range(2)] if tensor.is_cuda else []
        self._device = tensor.device
        self._started = time.perf_counter()
        if self._events:
            self._events[0].record(torch.cuda.current_stream(self._device))

    def stop(self) -> Callable[[], float]:
        """Returns the seconds, as a call: on a GPU they are known only when the device has come so far."""
        if not self._events:
            seconds = time.perf_counter() - self._started
            return lambda: seconds
        start, end = self._events
        end.record(torch.cuda.current_stream(self._device))

        def elapsed() -> float:
            end.synchronize()
            return float(start.elapsed_time(end)) / 1000

        return elapsed


@dataclass(frozen=True, eq=False)
class CallRecord:
    """One denoiser call.

    Attributes:
        clock: its step.
        lane: which call of the step it was.
        branch: the skip branch that ran; None for a full call.
        cache_miss: full although the step was to be cached, since no feature fitted.
        missing: why a call had no features of the step before, although that had a call like it; ""
            elsewhere.
        signature: what the call's tensors looked like.
        measured: returns the seconds.
        bytes_held: bytes of all that is kept after the call, and after the scheduler's step behind it.
        again: it was made a second time, since less than was needed had been computed.
    """

    clock: StepClock
    lane: int
    branch: int | None
    cache_miss: bool
    signature: Hashable
    measured: Callable[[], float]
    bytes_held: int
    missing: str = ""
    again: bool = False

    @cached_property
    def seconds(self) -> float:
        return self.measured()
