"""A first look at a file of prompts: every line is checked, and what is done is counted."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mmcache.errors import shortened, shown
from mmcache.tools.generating.items import Item, ItemMaker, items_in
from mmcache.tools.generating.prompts_file import PromptsFileError
from mmcache.tools.generating.repeated_names import NameCollector
from mmcache.tools.generating.store import Store
from mmcache.tools.generating.totals import Totals

MOST = 300  # characters of a message
SHOWN = 5  # numbers of further bad lines


@dataclass(frozen=True)
class Shard:
    """One of several parts of a file: its lines are those whose number leaves this remainder.

    Raises:
        ValueError: there is no such part.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if self.count < 1 or not 0 <= self.index < self.count:
            raise ValueError(
                f"shard {self.index}/{self.count}: wanted I/N with I from 0 to N-1, such as 0/16 to 15/16"
            )

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """From 3/16.

        Raises:
            ValueError: it is not of that form.
        """
        index, slash, count = text.partition("/") if isinstance(text, str) else ("", "", "")
        if not slash or not index.isdecimal() or not count.isdecimal():
            raise ValueError(f"shard {shown(text)}: wanted I/N with I from 0 to N-1, such as 3/16")
        return cls(int(index), int(count))

    def has(self, item: Item) -> bool:
        return (item.number - 1) % self.count == self.index

    def file(self, name: str, ending: str) -> str:
        """The name of a file that every shard writes its own of."""
        return f"{name}{ending}" if self.count == 1 else f"{name}-{self.index}-of-{self.count}{ending}"


ALL = Shard()


@dataclass
class Survey:
    """What is in a file of prompts, as far as the shard goes.

    Attributes:
        total: images.
        done: those that are there.
    """

    total: int = 0
    done: Totals = field(default_factory=Totals)


def survey(path: Path, maker: ItemMaker, store: Store, shard: Shard, *, new: bool, overwrite: bool) -> Survey:
    """Check all lines of a file, and count what is done.

    Args:
        new: whether the folder has no images of mmcache yet: then no file in it may be replaced.
        overwrite: whether images of other lines or settings may be.

    Raises:
        PromptsFileError: the file is missing or empty, lines cannot be used, or two are for one file.
        ValueError: something else is in the folder under the name of an image.
    """
    found = Survey()
    names = NameCollector()
    bad: list[tuple[int, str]] = []
    lines = 0
    for item in items_in(path, maker):
        lines += 1
        if not isinstance(item, Item):
            bad.append((item[0], str(item[1]))) if len(bad) < SHOWN + 2 else None
            continue
        names.add(item.name, item.key, item.number)
        if shard.has(item) and not bad:
            found.total += 1
            if (sidecar := store.sidecar(item)) is not None:
                found.done.add(sidecar)
            elif not overwrite:
                check_free(item, store, new)
    check_lines(path, lines, bad)
    for first, second in names.collisions():
        raise PromptsFileError(
            f"{path}: lines {first} and {second} would write the same file, since they have the same id "
            f"(small and capital letters are one): give each line its own"
        )
    return found


def check_lines(path: Path, lines: int, bad: list[tuple[int, str]]) -> None:
    """Refuse a file without lines, or with bad ones.

    Raises:
        PromptsFileError: with the first one's reason.
    """
    if not lines:
        raise PromptsFileError(f"{path}: has no prompts; wanted at least one line")
    if bad:
        (number, reason), *others = bad
        more = ", ".join(str(other) for other, _ in others[:SHOWN]) + (", ..." if len(others) > SHOWN else "")
        also = f" (also bad: line {more})" if others else ""
        raise PromptsFileError(shortened(f"{path}: line {number} {reason}", MOST - len(also)) + also)


def check_free(item: Item, store: Store, new: bool) -> None:
    """Refuse to replace an image that is not this line's.

    Raises:
        ValueError: there is one.
    """
    before = store.read(item.name)
    if before is not None and before.get("key") not in (None, item.key):
        raise ValueError(
            f"{store.folder / before['file']}: was made from another line than line {item.number} is now; "
            f"give the line another id, take another folder, or --overwrite to replace it"
        )
    if new and (path := store.in_the_way(item)) is not None:
        raise ValueError(
            f"{path}: is in the way of line {item.number}, and mmcache did not write it; take another "
            f"folder, or --overwrite to replace it"
        )


def open_items(path: Path, maker: ItemMaker, shard: Shard) -> Iterator[Item]:
    """The items of a file that was surveyed.

    Raises:
        PromptsFileError: a line has become bad since then.
    """
    for item in items_in(path, maker):
        if not isinstance(item, Item):
            raise PromptsFileError(f"{path}: was changed meanwhile: line {item[0]} {item[1]}")
        if shard.has(item):
            yield item
