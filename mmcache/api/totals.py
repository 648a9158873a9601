"""Sums over the runs of a session: what a service watches."""

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from mmcache.api.figures import format_bytes, format_macs, speedup, sum_or_none
from mmcache.engine.call_macs import MacsLater
from mmcache.engine.record import CallRecord


@dataclass(frozen=True)
class Totals:
    """Sums over the runs of a session that are over.

    Attributes:
        runs: sampling runs that came to their end.
        stopped_runs: those that did not: an error, a time-out, a callback that interrupted them.
        full_steps: full calls of the denoisers.
        cached_steps: cached calls of the denoisers.
        cache_misses: full calls that were to be cached: no kept feature fitted.
        macs: multiply-adds, of side networks too; None where some cannot be counted.
        full_macs: what the same calls would have taken without caching.
        seconds: wall time of the calls.
        bytes_held: the most that one run has held at any time.
    """

    runs: int = 0
    stopped_runs: int = 0
    full_steps: int = 0
    cached_steps: int = 0
    cache_misses: int = 0
    macs: int | None = 0
    full_macs: int | None = 0
    seconds: float = 0.0
    bytes_held: int = 0

    @property
    def speedup(self) -> float | None:
        """How many times fewer multiply-adds (not seconds) than without caching; None if unknown."""
        return speedup(self.macs, self.full_macs)

    @property
    def macs_saved(self) -> int | None:
        """Multiply-adds that caching has saved; None if unknown."""
        return None if self.macs is None or self.full_macs is None else self.full_macs - self.macs

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"speedup": self.speedup, "macs_saved": self.macs_saved}

    def __str__(self) -> str:
        stopped = f" and {self.stopped_runs} stopped ones" if self.stopped_runs else ""
        saved = "MACs unknown" if self.macs_saved is None else f"{format_macs(self.macs_saved)} MACs saved"
        return (
            f"{self.runs} runs{stopped}: {self.full_steps} full and {self.cached_steps} cached calls, "
            f"{saved}, {self.seconds:.2f} s, at most {format_bytes(self.bytes_held)} held"
        )


class FinishedPart(NamedTuple):
    """One denoiser or side network in a run that is over.

    Attributes:
        calls: what was noted.
        macs_of: gives their multiply-adds; keeps no model alive.
        is_denoiser: False for a side network, whose calls are no steps.
    """

    calls: Sequence[CallRecord]
    macs_of: MacsLater
    is_denoiser: bool


class RunTotals:
    """Adds runs up; a run's seconds and multiply-adds are not asked for before somebody wants to know.

    On a GPU the seconds of a run are known when the device has come so far, so the last run waits until the
    next one has ended. May be used by several threads.
    """

    def __init__(self) -> None:
        # Taken again where a pipeline goes, and with it a run is stopped, while runs are added.
        self._lock = threading.RLock()
        self._sums = Totals()
        self._kinds: dict[Hashable, tuple[Callable[[], int | None], Callable[[], int | None]]] = {}
        self._counts: Counter[Hashable] = Counter()
        self._waiting: list[FinishedPart] = []

    def add(self, parts: Sequence[FinishedPart], stopped: bool) -> None:
        """Add a run."""
        with self._lock:
            self._settle()
            self._waiting = list(parts)
            runs, stops = self._sums.runs + (not stopped), self._sums.stopped_runs + stopped
            self._sums = self._with_steps(parts, runs, stops)

    def totals(self) -> Totals:
        """The sums so far. Counting multiply-adds of a new kind of call takes a moment."""
        with self._lock:
            self._settle()
            macs = sum_or_none([times(count, self._kinds[kind][0]()) for kind, count in self._counts.items()])
            full = sum_or_none([times(count, self._kinds[kind][1]()) for kind, count in self._counts.items()])
            return Totals(**asdict(self._sums) | {"macs": macs, "full_macs": full})

    def _with_steps(self, parts: Sequence[FinishedPart], runs: int, stopped: int) -> Totals:
        old = self._sums
        calls = [call for part in parts if part.is_denoiser for call in part.calls]
        full = sum(call.branch is None for call in calls)
        held = sum(max((call.bytes_held for call in part.calls), default=0) for part in parts)
        return Totals(
            runs=runs,
            stopped_runs=stopped,
            full_steps=old.full_steps + full,
            cached_steps=old.cached_steps + len(calls) - full,
            cache_misses=old.cache_misses + sum(call.cache_miss for call in calls),
            seconds=old.seconds,
            bytes_held=max(old.bytes_held, held),
        )

    def _settle(self) -> None:
        """Count what the last run has left: its seconds, and how many calls it had of each kind."""
        parts, self._waiting = self._waiting, []
        seconds = sum(call.seconds for part in parts for call in part.calls)
        self._sums = Totals(**asdict(self._sums) | {"seconds": self._sums.seconds + seconds})
        for part in parts:
            for call in part.calls:
                self._count(part.macs_of, call)

    def _count(self, macs_of: MacsLater, call: CallRecord) -> None:
        key = macs_of.kind, call.signature, call.branch, call.again
        self._counts[key] += 1
        if key not in self._kinds:
            form, branch, again = call.signature, call.branch, call.again
            self._kinds[key] = (
                lambda: macs_of(form, branch),
                lambda: 0 if again else macs_of(form, None),
            )


def times(count: int, each: int | None) -> int | None:
    """The multiply-adds of so many calls; None where those of one are unknown."""
    return None if each is None else count * each
