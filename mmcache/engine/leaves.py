"""The tensors, numbers and words in what a call is given, whatever they are put into."""

import functools
import sys
import types
from array import array
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from mmcache.engine.lazy_tensor import LazyTensor

Leaves = list[Any]

DEPTH = 8  # how deep objects in objects are looked into
PLAIN = (float, int, str, bool)
CONTAINERS = (list, tuple, deque)
SLOT = types.MemberDescriptorType


def conditioning_of(arguments: Mapping[str, Any], but: Collection[str]) -> Leaves:
    """What is in the arguments of a call, in order, but for those of some names."""
    leaves: Leaves = []
    for name, value in arguments.items():
        if name not in but:
            gather(value, leaves)
    return leaves


def gather(value: Any, leaves: Leaves, depth: int = DEPTH, seen: dict[int, Any] | None = None) -> None:
    """Add what is in an argument: of an object that is not known, its own attributes.

    Args:
        value: the argument, or what was found in it.
        leaves: to be added to.
        depth: how deep to look.
        seen: what was looked into already, by its id: of that its place is added.
    """
    if value is None or isinstance(value, PLAIN):
        leaves.append(value)
    elif isinstance(value, torch.Tensor):
        if not isinstance(value, LazyTensor):
            leaves.append(value)
    elif isinstance(value, np.ndarray):
        leaves.append((value.shape, str(value.dtype), value.tobytes()))
    elif isinstance(value, set | frozenset | bytearray | array):
        leaves.append((type(value), frozenset(value) if isinstance(value, set | frozenset) else bytes(value)))
    elif depth == 0 or is_own_store(value):
        leaves.append(type(value))
    elif seen is not None and id(value) in seen:
        leaves.append(list(seen).index(id(value)))
    else:
        seen = {} if seen is None else seen
        seen[id(value)] = value
        for entry in entries_of(value, leaves):
            gather(entry, leaves, depth - 1, seen)


def entries_of(value: Any, leaves: Leaves) -> Collection[Any]:
    """What is in a mapping, an object or a function; what tells it beside that is added at once."""
    if isinstance(value, Mapping):
        return value.values()
    if isinstance(value, CONTAINERS):
        return value
    if isinstance(value, functools.partial):
        return value.func, value.args, value.keywords
    if isinstance(value, types.MethodType):
        return value.__func__, value.__self__
    if isinstance(value, types.FunctionType):
        leaves.append(value)
        return list(closure_of(value))
    own = [] if is_told_by_identity(value) else attributes_of(value)
    leaves.append(type(value) if own else value)
    return own


def closure_of(function: types.FunctionType) -> Iterator[Any]:
    """The values of the variables that a function has from where it was defined."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet
            continue


def is_told_by_identity(value: Any) -> bool:
    """Whether an object is not looked into: models, and those of Python itself, such as locks and loggers."""
    home = type(value).__module__.partition(".")[0]
    of_python = home in sys.stdlib_module_names and home not in ("types", "collections")
    return of_python or isinstance(value, nn.Module)


def attributes_of(value: Any) -> list[Any]:
    """The values of an object's attributes, in its table and in slots."""
    table = getattr(value, "__dict__", None)
    own = list(table.values()) if isinstance(table, dict) else []
    kind: Any = type(value)
    return own + [getattr(value, name, None) for name in slot_names(kind)]


@functools.lru_cache(maxsize=1024)
def slot_names(kind: type) -> tuple[str, ...]:
    """The names of a class's slots, and of those that it derives from."""
    tables = [vars(cls) for cls in kind.__mro__]
    return tuple(n for table in tables for n, one in table.items() if isinstance(one, SLOT))


def is_own_store(value: Any) -> bool:
    """Whether this is a pipeline's own store of keys and values, which grows from call to call."""
    of_library = type(value).__module__.startswith(("diffusers.", "transformers."))
    return of_library and not isinstance(value, Mapping)
