"""From items to batches: what is done is left out, and lines of equal shape share a call."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mmcache.tools.generating.items import Item
from mmcache.tools.generating.outcomes import Batch

WAITING = 16  # batches that may wait for a line of their shape


class WorkSource:
    """Batches of the items that are not done, made as they are asked for.

    Args:
        items: of the file.
        size: of a batch at most.
        sidecar: what is on the disk of an item that is done; None if it is not.
        found: is called with each item that is done already.
    """

    def __init__(
        self,
        items: Iterator[Item],
        size: int,
        sidecar: Callable[[Item], Mapping[str, Any] | None],
        found: Callable[[Item, Mapping[str, Any]], None],
    ) -> None:
        self._items = items
        self._size = size
        self._sidecar = sidecar
        self._found = found
        self._in_hand: set[str] = set()  # names that were handed out: of equal lines one is enough

    def settled(self, item: Item) -> None:
        """An item is done, or was given up."""
        self._in_hand.discard(item.name)

    def batches(self) -> Iterator[Batch]:
        """Each batch as soon as it is full; the others when too many wait, and at the end."""
        if self._size == 1:
            yield from ((item,) for item in self._missing())
            return
        groups: dict[str, list[Item]] = {}
        for item in self._missing():
            group = groups.setdefault(item.shape, [])
            group.append(item)
            if len(group) == self._size:
                yield tuple(groups.pop(item.shape))
            elif len(groups) > WAITING:
                yield tuple(groups.pop(next(iter(groups))))
        yield from (tuple(group) for group in groups.values())

    def _missing(self) -> Iterator[Item]:
        for item in self._items:
            if item.name in self._in_hand:
                continue
            if (sidecar := self._sidecar(item)) is not None:
                self._found(item, sidecar)
                continue
            self._in_hand.add(item.name)
            yield item
