"""Swaps: entries of a model's own tables, and what they become."""

from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn

_ABSENT = object()


@dataclass(frozen=True, eq=False)
class Swap:
    """One entry of one table (`_modules`, `__dict__`, `_forward_hooks`, ...) and what it becomes."""

    table: MutableMapping[Any, Any]
    key: Any
    value: Any


def swap_child(module: nn.Module, name: str, replacement: nn.Module | None) -> Swap:
    """Exchange the child `name` of `module`.

    A child set to None in a constructor (`mid_block=None`) is a plain attribute, not a registered child,
    and would hide a registered one: it has to be exchanged where it stands.
    """
    table = module._modules if name in module._modules else module.__dict__
    return Swap(table, name, replacement)


@contextmanager
def swapped(swaps: Iterable[Swap]) -> Iterator[None]:
    """Exchange the entries, and put the old ones back, last first, whatever happens."""
    undone = []
    try:
        for swap in swaps:
            undone.append((swap, swap.table.get(swap.key, _ABSENT)))
            swap.table[swap.key] = swap.value
        yield
    finally:
        for swap, old in reversed(undone):
            if old is _ABSENT:
                swap.table.pop(swap.key, None)
            else:
                swap.table[swap.key] = old
