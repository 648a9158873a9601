"""Workers without a model, for measuring the driver of many prompts."""

import heapq
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmcache.tools.generating.outcomes import Batch, Event, Finished, Generate, Outcome, Ready
from mmcache.tools.generating.store import Store

REPORT = {"full_steps": 17, "cached_steps": 33, "macs": 1, "full_macs": 2, "seconds": 0.0, "bytes_held": 1}
IMAGE = b"0" * 10_000


@dataclass(frozen=True)
class SleepingJob:
    """A worker without a model: it sleeps for each image, and writes ten kilobytes if it has a folder."""

    seconds: float
    out: Path | None = None

    def open(self) -> Generate:
        store = None if self.out is None else Store(self.out)

        def generate(batch: Batch) -> list[Outcome]:
            time.sleep(self.seconds * len(batch))
            if store is not None:
                for item in batch:
                    store.write(item, IMAGE, ".png", {"report": REPORT})
            return [Outcome(item.name, {"report": REPORT}) for item in batch]

        return generate


class SimulatedPool:
    """Workers of simulated time: the driver's own time is all that passes.

    Args:
        seconds: that an image takes.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._now = 0.0
        self._free: dict[int, float] = {}
        self._heap: list[tuple[float, int, int, list[Outcome]]] = []
        self._sent = 0  # messages; it orders those that end at the same moment
        self._new: list[Event] = []

    def start(self, slot: int) -> None:
        self._free[slot] = 0.0
        self._new.append(Ready(slot))

    def send(self, slot: int, batches: Sequence[Batch]) -> None:
        outcomes = [Outcome(item.name, {"report": REPORT}) for batch in batches for item in batch]
        self._free[slot] = max(self._now, self._free[slot]) + self._seconds * len(outcomes)
        self._sent += 1
        heapq.heappush(self._heap, (self._free[slot], self._sent, slot, outcomes))

    def events(self, timeout: float) -> Sequence[Event]:
        if self._new:
            events, self._new = self._new, []
            return events
        self._now, _, slot, outcomes = heapq.heappop(self._heap)
        return [Finished(slot, outcomes)]

    def close(self, grace: float) -> Sequence[Event]:
        return []
