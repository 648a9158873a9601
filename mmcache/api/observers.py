"""Who hears of a session's runs: callbacks, totals, and the logger `mmcache` at level DEBUG."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from mmcache.api.report import Report
from mmcache.api.totals import FinishedPart, RunTotals
from mmcache.caller import warn

LOGGER = logging.getLogger("mmcache")

OnRun = Callable[[Report], object]
"""Called with the report of a run that has ended."""


class Observers:
    """Told of every run that is over; pipelines that share a session share them too.

    Attributes:
        totals: sums over the runs.
        last: gives the session that has begun the last run; None before the first, or where it is gone.
    """

    def __init__(self) -> None:
        self.totals = RunTotals()
        self.last: Callable[[], Any] | None = None
        self._callbacks: list[OnRun] = []
        self._warned = False

    def add(self, callback: OnRun) -> Callable[[], None]:
        """Call this with each run's report; returns what calls it off."""
        self._callbacks.append(callback)

        def remove() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return remove

    def tell(self, parts: Sequence[FinishedPart], stopped: bool, report: Callable[[], Report]) -> None:
        """A run is over: in the thread that samples, before the image is decoded.

        Args:
            parts: its denoisers and side networks.
            stopped: it did not come to its end; callbacks do not hear of it.
            report: makes the report, if somebody wants one.
        """
        self.totals.add(parts, stopped)
        callbacks = [] if stopped else list(self._callbacks)
        if not callbacks and not LOGGER.isEnabledFor(logging.DEBUG):
            return
        made = report()
        LOGGER.debug("run %s: %s", "stopped" if stopped else "ended", made.summary())
        for callback in callbacks:
            try:
                callback(made)
            except Exception as error:  # whatever it raises, the image is not its business
                LOGGER.debug("a callback of on_run has failed", exc_info=True)
                self._warn(callback, error)

    def _warn(self, callback: OnRun, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            name = getattr(callback, "__qualname__", type(callback).__name__)
            warn(
                f"on_run: {name} has raised {type(error).__name__}: {error}; the image is not affected"[:280]
            )
