"""Swaps: entries of a model's own tables, and what they are in a view of it."""

from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True, eq=False)
class Swap:
    """One entry of one table of a module, and what it becomes in a view.

    Attributes:
        owner: the module, as it is in the live model.
        table: the attribute that holds the table: `_modules`, `_forward_hooks`, ...; `__dict__` for an
            attribute of the module.
        key: of the entry.
        value: what it becomes.
    """

    owner: nn.Module
    table: str
    key: Any
    value: Any


def swap_child(module: nn.Module, name: str, replacement: nn.Module | None) -> Swap:
    """Exchange the child `name` of `module`.

    A child set to None in a constructor (`mid_block=None`) is a plain attribute, not a registered child,
    and would hide a registered one: it has to be exchanged where it stands.
    """
    return Swap(module, "_modules" if name in module._modules else "__dict__", name, replacement)
