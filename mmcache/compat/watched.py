"""Entries of an object's own tables, and whether they still are what they were."""

from collections.abc import Callable, Iterable
from operator import getitem, itemgetter
from typing import Any

DIGITS = 6  # LoRA scales are multiplied for a call and divided again behind it


def is_plain(value: Any) -> bool:
    """Whether this is a number, a word, or a container of such."""
    if isinstance(value, dict):
        return all(map(is_plain, value.values()))
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def copied(value: Any) -> Any:
    """A copy of a plain container; anything else as it is."""
    if isinstance(value, dict) and is_plain(value):
        return {key: copied(entry) for key, entry in value.items()}
    if isinstance(value, list) and is_plain(value):
        return [copied(entry) for entry in value]
    return value


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: rounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(entry) for entry in value]
    return round(value, DIGITS) if isinstance(value, float) else value


def own_settings(table: dict[str, Any]) -> list[str]:
    """The names of a module's own plain attributes."""
    return [
        name for name, value in table.items() if name[0] != "_" and name != "training" and is_plain(value)
    ]


FindNames = Callable[[dict[str, Any]], list[str]]


class Watched:
    """Some entries of one table, and what they were."""

    __slots__ = ("_found", "_get", "_names", "_size", "_table", "_values")

    def __init__(self, table: dict[str, Any], names: "list[str] | FindNames", *, sized: bool = False) -> None:
        self._table = table
        self._size = len(table) if sized else None
        self._found = names if callable(names) else None
        self._names = names = names(table) if callable(names) else names
        get: Callable[[Any], Any] = itemgetter(*names) if names else lambda table: ()
        self._get = get if len(names) != 1 else lambda table: (get(table),)
        self._values = tuple(copied(value) for value in self._get(table))

    @property
    def sizes(self) -> list[tuple[dict[str, Any], int]]:
        """The table and its size, if that is told too."""
        return [] if self._size is None else [(self._table, self._size)]

    @property
    def entries(self) -> list[tuple[dict[str, Any], str]]:
        """The table and the name of each entry."""
        return [(self._table, name) for name in self._names]

    def is_same(self) -> bool:
        if self._size is not None and len(self._table) != self._size:
            if self._found is None or self._found(self._table) != self._names:
                return False
            self._size = len(self._table)  # a hook has left something of its own
        try:
            now = self._get(self._table)
            return bool(now == self._values) or bool(rounded(now) == rounded(self._values))
        except KeyError:
            return False


class WatchedTogether:
    """Entries of many tables, which are usually what they were: told in few operations for all of them."""

    def __init__(self, watched: Iterable[Watched]) -> None:
        self._watched = list(watched)
        self._look()

    def _look(self) -> None:
        sizes = [size for one in self._watched for size in one.sizes]
        entries = [entry for one in self._watched for entry in one.entries]
        self._sized, self._sizes = [table for table, _ in sizes], [size for _, size in sizes]
        self._tables, self._names = [table for table, _ in entries], [name for _, name in entries]
        self._values = [copied(table[name]) for table, name in entries]

    def is_same(self) -> bool:
        try:
            now = list(map(getitem, self._tables, self._names))
            if list(map(len, self._sized)) == self._sizes and now == self._values:
                return True
        except KeyError:
            return False
        same = all(one.is_same() for one in self._watched)
        if same:  # but for rounding, or for names that nobody asks for
            self._look()
        return same
