"""Who works on what, and who is to blame for a death: bookkeeping alone, without processes."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from mmcache.tools.generating.outcomes import Batch

TRIES = 3  # of an item, and different items on which a worker may die
IN_A_ROW = 5 * TRIES  # deaths without finishing anything, whatever the items were: no worker of a slot lives


@dataclass(frozen=True)
class Work:
    """A batch and its history.

    Attributes:
        deaths: the slots whose workers died of it, or failed at it.
    """

    batch: Batch
    deaths: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Of its first item: halves of a batch that killed a worker keep the name."""
        return self.batch[0].name


@dataclass
class Slot:
    """The place of a worker.

    Attributes:
        messages: what its worker has, the first in work.
        died_on: names of different items on which its workers died since one of them finished anything.
        in_a_row: deaths since one of them finished anything.
        failed_starts: workers that died before they were ready, since one was.
    """

    ready: bool = False
    retired: bool = False
    messages: deque[list[Work]] = field(default_factory=deque)
    died_on: set[str] = field(default_factory=set)
    in_a_row: int = 0
    failed_starts: int = 0


class Dispatcher:
    """Hands out batches, and again those whose worker died.

    Args:
        batches: read only as far as they are handed out.
        slots: number of workers.
    """

    def __init__(self, batches: Iterator[Batch], slots: int) -> None:
        self._fresh = batches
        self._again: deque[Work] = deque()
        self._exhausted = False
        self.slots = [Slot() for _ in range(slots)]

    @property
    def busy(self) -> bool:
        """Whether any worker has work."""
        return any(slot.messages for slot in self.slots)

    @property
    def waiting(self) -> bool:
        """Whether something is to be tried again."""
        return bool(self._again)

    @property
    def usable(self) -> bool:
        """Whether there is a worker, or one may come."""
        return not all(slot.retired for slot in self.slots)

    @property
    def over(self) -> bool:
        """Whether nothing is left to hand out and nothing is in work."""
        return self._exhausted and not self._again and not self.busy

    def take(self, slot: int) -> Work | None:
        """The next work for a worker; None if there is none for it now."""
        if (again := self._retry_for(slot)) is not None:
            return again
        batch = None if self._exhausted else next(self._fresh, None)
        if batch is None:
            self._exhausted = True
            return None
        return Work(batch)

    def _retry_for(self, slot: int) -> Work | None:
        """Work that was tried before: elsewhere, if there is an elsewhere."""
        if not self._again:  # nearly always, and there may be a thousand slots
            return None
        others = {n for n, one in enumerate(self.slots) if one.ready} - {slot}
        for position, work in enumerate(self._again):
            if slot not in work.deaths or others <= set(work.deaths):
                del self._again[position]
                return work
        return None

    def sent(self, slot: int, message: list[Work]) -> None:
        """A message is on its way to a worker."""
        self.slots[slot].messages.append(message)

    def finished(self, slot: int) -> list[Work]:
        """A worker has finished its first message: its work."""
        self.slots[slot].died_on.clear()
        self.slots[slot].in_a_row = 0
        return self.slots[slot].messages.popleft()

    def again(self, work: Work, slot: int) -> bool:
        """Try work once more after a failure there.

        Returns:
            False if it has failed too often.
        """
        deaths = (*work.deaths, slot)
        if len(deaths) >= TRIES:
            self.forgive(work.name)
            return False
        self._again.append(Work(work.batch, deaths))
        return True

    def forgive(self, name: str) -> None:
        """An item was found to be the cause of deaths: no worker is to blame for them."""
        for slot in self.slots:
            slot.died_on.discard(name)

    def died(self, slot: int, *, blame: bool) -> list[Work]:
        """A worker is gone: all the work that it had, in order.

        Args:
            blame: whether a death before it was ready counts.
        """
        place = self.slots[slot]
        left = [work for message in place.messages for work in message]
        place.messages.clear()
        place.failed_starts += blame and not place.ready
        place.ready = False
        place.retired = place.failed_starts >= TRIES
        return left

    def put_back(self, work: list[Work]) -> None:
        """Work that nobody began is handed out first."""
        self._again.extendleft(reversed(work))

    def blame(self, slot: int, work: Work) -> Work | None:
        """Note a death on this work, which is tried again; a larger batch in halves.

        Returns:
            The work, if it has been tried too often; None otherwise.
        """
        place = self.slots[slot]
        place.died_on.add(work.name)
        place.in_a_row += 1
        place.retired = place.retired or len(place.died_on) >= TRIES or place.in_a_row >= IN_A_ROW
        if len(work.batch) > 1:
            middle = len(work.batch) // 2
            halves = [Work(work.batch[:middle], work.deaths), Work(work.batch[middle:], work.deaths)]
            self._again.extend(halves)
            return None
        return None if self.again(work, slot) else work
