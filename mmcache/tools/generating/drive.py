"""The driver: workers pull, results and deaths come back, until nothing is left or somebody asks to stop."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmcache.tools.generating.dispatcher import TRIES, Dispatcher, Work
from mmcache.tools.generating.items import Item
from mmcache.tools.generating.outcomes import Batch, Died, Event, Finished, Outcome, Pool, Ready
from mmcache.tools.generating.stop_signals import Stop, Stopped

WINDOW = 2  # messages that a worker has: one in work and one waiting
GRACE = 8.0  # seconds for the current item after a signal; what is left of ten is for ending processes
POLL = 0.25  # seconds
LAST = 3.0  # seconds for idle workers to end by themselves
PATIENCE = 60.0  # seconds without a sign of any worker
NOBODY_YET = "no worker is ready after a minute: they still load, or the Ray cluster has no room for one"
MESSAGES = 500  # per second, above which messages carry several batches
MOST_IN_MESSAGE = 32


@dataclass(frozen=True)
class Failure:
    """An item that was given up."""

    item: Item
    reason: str
    tries: int


@dataclass(frozen=True)
class Callbacks:
    """Whom the driver tells.

    Attributes:
        sidecar: what is on the disk of an item that is done; None if it is not.
        done: an item's report has come.
        failed: an item was given up.
        event: anything else, by a word and what belongs to it.
    """

    sidecar: Callable[[Item], Mapping[str, Any] | None]
    done: Callable[[int, Item, Mapping[str, Any]], None]
    failed: Callable[[Failure], None]
    event: Callable[..., None]


@dataclass
class Pace:
    """How many batches a message carries: one, unless workers finish so many that messages would be too many.

    The driver has a few tenths of a millisecond of work per message, whatever is in it.
    """

    seconds: float = 0.0  # per message at the current size, smoothed
    size: int = 1
    fixed: bool = False
    sent: dict[int, deque[float]] = field(default_factory=dict)

    def note_sent(self, slot: int) -> None:
        self.sent.setdefault(slot, deque(maxlen=WINDOW)).append(time.monotonic())

    def note_finished(self, slot: int, slots: int) -> None:
        """Adjust the size to what the workers together would finish in a second."""
        times = self.sent.get(slot)
        if not times or self.fixed:
            return
        took = max(1e-6, time.monotonic() - times.popleft())
        self.seconds = took if not self.seconds else 0.95 * self.seconds + 0.05 * took
        rate = slots * WINDOW * self.size / self.seconds  # batches a second
        self.size = max(1, min(MOST_IN_MESSAGE, round(rate / MESSAGES)))


class Driver:
    """Drives the workers of a pool.

    Args:
        batches: all the work, read as it is handed out.
        pool: of workers.
        slots: their number.
        callbacks: whom to tell.
        stop: is looked at between events.
        pace: how much messages carry; None adjusts it.
    """

    def __init__(
        self,
        batches: Iterator[Batch],
        pool: Pool,
        slots: int,
        callbacks: Callbacks,
        stop: Stop,
        pace: Pace | None = None,
    ) -> None:
        self.dispatcher = Dispatcher(batches, slots)
        self._pool = pool
        self._call = callbacks
        self._stop = stop
        self._pace = pace or Pace()

    def run(self) -> bool:
        """Work until nothing is left.

        Returns:
            Whether everything was tried; False if it was stopped, or no worker is left.
        """
        grace = 0.0  # whatever is raised
        try:
            for slot in range(len(self.dispatcher.slots)):
                self._pool.start(slot)
            started: float | None = time.monotonic()
            while not self.dispatcher.over and self.dispatcher.usable and not self._stop.asked:
                for event in self._pool.events(POLL):
                    self._handle(event)
                    started = None
                if started is not None and time.monotonic() - started > PATIENCE:
                    self._call.event("note", text=NOBODY_YET)
                    started = None
            grace = GRACE if self._stop.asked else LAST
        except Stopped:
            pass
        finally:
            for event in self._pool.close(grace):
                self._handle(event, refill=False)
        return self.dispatcher.over and not self._stop.asked

    def _handle(self, event: Event, refill: bool = True) -> None:
        match event:
            case Ready(slot):
                self.dispatcher.slots[slot].ready = True
                self.dispatcher.slots[slot].failed_starts = 0
                self._call.event("ready", worker=slot)
            case Finished(slot, outcomes):
                self._pace.note_finished(slot, len(self.dispatcher.slots))
                self._take_outcomes(slot, self.dispatcher.finished(slot), outcomes)
            case Died():
                self._mourn(event)
        if refill:
            self._refill(event.slot)

    def _refill(self, own: int) -> None:
        """Give work to the worker of an event; to all, where something waits to be tried again."""
        slots = range(len(self.dispatcher.slots)) if self.dispatcher.waiting else (own,)
        for slot in slots:
            place = self.dispatcher.slots[slot]
            while place.ready and len(place.messages) < WINDOW and (message := self._message(slot)):
                self.dispatcher.sent(slot, message)
                self._pace.note_sent(slot)
                self._pool.send(slot, [work.batch for work in message])

    def _message(self, slot: int) -> list[Work]:
        message: list[Work] = []
        while len(message) < self._pace.size and (work := self.dispatcher.take(slot)) is not None:
            message.append(work)
        return message

    def _take_outcomes(self, slot: int, message: list[Work], outcomes: Sequence[Outcome]) -> None:
        by_name = {outcome.name: outcome for outcome in outcomes}
        for work in message:
            for item in work.batch:
                outcome = by_name[item.name]
                for note in outcome.notes:
                    self._call.event("note", text=note)
                if outcome.report is not None:
                    self._call.done(slot, item, outcome.report)
                    continue
                single = Work((item,), work.deaths)
                if outcome.retry and self.dispatcher.again(single, slot):
                    self._call.event("retry", worker=slot, id=item.name, reason=outcome.reason)
                else:
                    tries = len(work.deaths) + 1
                    self._call.failed(Failure(item, outcome.reason, tries))

    def _mourn(self, event: Died) -> None:
        """A worker is gone: its first unfinished batch may be the cause, the others go to the next worker."""
        slot = event.slot
        left = self._without_done(slot, self.dispatcher.died(slot, blame=event.blame))
        self._pace.sent.pop(slot, None)
        if event.blame and left:
            given_up = self.dispatcher.blame(slot, left[0])
            left = left[1:]
            for item in given_up.batch if given_up else ():
                self._call.failed(Failure(item, event.reason, TRIES))
        self.dispatcher.put_back(left)
        place = self.dispatcher.slots[slot]
        self._call.event("worker_died", worker=slot, reason=event.reason, retired=place.retired)
        if event.fatal is not None:
            raise event.fatal
        if not place.retired and not self._stop.asked:
            self._pool.start(slot)

    def _without_done(self, slot: int, left: list[Work]) -> list[Work]:
        """Its last word may have been lost: what the disk has is done."""
        remaining = []
        for work in left:
            missing = []
            for item in work.batch:
                if (sidecar := self._call.sidecar(item)) is not None:
                    self._call.done(slot, item, sidecar)
                else:
                    missing.append(item)
            if missing:
                remaining.append(Work(tuple(missing), work.deaths))
        return remaining
