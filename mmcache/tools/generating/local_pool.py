"""One worker in this process: needs nothing extra."""

from collections import deque
from collections.abc import Sequence

from mmcache.tools.generating.outcomes import (
    Batch,
    Event,
    Finished,
    Generate,
    Job,
    Outcome,
    Ready,
    WorkerBroken,
)


class LocalPool:
    """Does each message while the driver waits for events; what the job raises goes up to the caller."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._generate: Generate | None = None
        self._messages: deque[Sequence[Batch]] = deque()

    def start(self, slot: int) -> None:
        pass

    def send(self, slot: int, batches: Sequence[Batch]) -> None:
        self._messages.append(batches)

    def events(self, timeout: float) -> Sequence[Event]:
        if self._generate is None:
            self._generate = self._job.open()
            return [Ready(0)]
        if not self._messages:
            return []
        outcomes: list[Outcome] = []
        for batch in self._messages.popleft():
            try:
                outcomes += self._generate(batch)
            except WorkerBroken as error:
                raise WorkerBroken(
                    f"the device has an error that stays in this process ({error}): start again, or take "
                    f"workers=1 (--workers 1), which starts a new process by itself"
                ) from None
        return [Finished(0, outcomes)]

    def close(self, grace: float) -> Sequence[Event]:
        self._messages.clear()
        if (end := getattr(self._generate, "close", None)) is not None:
            end()
        self._generate = None
        return []
