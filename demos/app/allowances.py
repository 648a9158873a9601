"""What is counted of each address: the bytes that it has laid down, and its wrong passwords."""

import time
from collections import OrderedDict, deque

from mmcache_demos.app.limits import LimitError, Limits

WAITS = 30.0  # seconds: who has to wait longer to log in is sent away
ADDRESSES = 10_000  # that are remembered after a wrong password


class Laid:
    """How many bytes each visitor has laid down on the server, for as long as files are kept."""

    def __init__(self, limits: Limits, seconds: float) -> None:
        self._limits = limits
        self._seconds = seconds
        self._uploads: deque[tuple[float, str, int]] = deque()

    def take(self, visitor: str, count: int) -> None:
        """Count an upload.

        Raises:
            LimitError: it would be too much, of this visitor or in all.
        """
        now = time.monotonic()
        while self._uploads and now - self._uploads[0][0] > self._seconds:
            self._uploads.popleft()
        own = sum(size for _, who, size in self._uploads if who == visitor)
        for most, there in (
            (self._limits.visitor_bytes, own),
            (self._limits.all_bytes, sum(size for *_, size in self._uploads)),
        ):
            if there + count > most:
                raise LimitError(f"uploads: at most {most / 2**20:.3g} MiB are kept. Try again in an hour.")
        self._uploads.append((now, visitor, count))


class LogIns:
    """Wrong passwords: each makes the next answer for its visitor later, also for requests side by side."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, visitor: str) -> float:
        """For how many seconds an attempt has to wait; it takes its place in the line."""
        count, free = self._wrong.get(visitor, (0, 0.0))
        now = time.monotonic()
        begins = max(now, free)
        if count and begins - now <= WAITS:
            self._wrong[visitor] = count, begins + min(2.0 ** (count - 1), WAITS)
        return begins - now

    def ended(self, visitor: str, right: bool) -> None:
        """An attempt was right, or wrong."""
        if right:
            self._wrong.pop(visitor, None)
            return
        count, free = self._wrong.pop(visitor, (0, 0.0))
        self._wrong[visitor] = count + 1, max(free, time.monotonic() + min(2.0**count, WAITS))
        if len(self._wrong) > ADDRESSES:
            self._wrong.popitem(last=False)
