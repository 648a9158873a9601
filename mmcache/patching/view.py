"""Views: a smaller model made of the same layers, which the live model never hears of.

A view of a model under a list of swaps is a shallow copy of the modules on the way to a changed entry. Every
other module, and every parameter, buffer and hook, is the model's own object. So a model's own unchanged
`forward` runs on a view, nothing has to be put back afterwards, and another thread sees the plain model.
"""

import functools
import types
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from operator import is_, itemgetter
from typing import Any

from torch import nn

from mmcache.patching.foreign_forward import rebind_compiled_call, rebind_forward
from mmcache.patching.swap import Swap

FORWARDS = ("forward", "_old_forward", "_compiled_call_impl")  # a hook leaves another attribute beside them
HOOK_TABLES = ("_forward_pre_hooks", "_forward_hooks")


class Watch:
    """A table of a live module as it was when a view was made, but for entries of some names."""

    def __init__(self, table: Mapping[str, Any], but: Collection[str] = ()) -> None:
        self._table = table
        self._size = len(table)
        names = [name for name in table if name not in but]
        self._get = itemgetter(*names) if len(names) > 1 else lambda table: tuple(table[n] for n in names)
        self._values = self._get(table)

    def is_same(self) -> bool:
        """Whether every entry still is the same object."""
        try:
            return len(self._table) == self._size and all(map(is_, self._get(self._table), self._values))
        except KeyError:
            return False


class View:
    """A model under swaps.

    Attributes:
        module: the view itself, to be called in place of the model.

    Raises:
        UnsupportedPipelineError: somebody has replaced the forward of a module that has to be copied, in a
            way that cannot be repeated on the copy.
        ValueError: a swap's module is not in the model.
    """

    def __init__(self, model: nn.Module, swaps: Sequence[Swap]) -> None:
        self._swaps: dict[int, list[Swap]] = {}
        for swap in swaps:
            self._swaps.setdefault(id(swap.owner), []).append(swap)
        self._seen, self._copied = route(model, self._swaps)
        self._twins: dict[int, nn.Module] = {}
        self._live: dict[int, nn.Module] = {}
        self._watched: list[Watch] = []
        self.module = self._twin_of(model)

    def remaining(self) -> Iterator[nn.Module]:
        """The modules of the live model of which something is in the view, and the stand-ins among them."""
        for module in self.module.modules():
            yield self._live.get(id(module), module)

    def is_current(self) -> bool:
        """Whether the model's owner has left the tables that the view copies as they were.

        FreeU sets attributes of blocks, a callback may replace a block: the view has to be made anew.
        """
        return all(watch.is_same() for watch in self._watched)

    def _twin_of(self, module: nn.Module) -> nn.Module:
        """What stands in the view where a module stands: itself, or a copy."""
        key = id(module)
        if key in self._twins:
            return self._twins[key]
        if key in self._copied:
            return self._copy(module)
        return module if key in self._seen else self._copy_stand_in(module)

    def _copy(self, live: nn.Module) -> nn.Module:
        swaps = self._swaps.get(id(live), ())
        tables = dict(live.__dict__)
        tables["_modules"] = dict(live._modules)
        # CPU offload replaces the model's own forward at every call, and a view has one of its own. That of a
        # block is replaced by a guider of diffusers, for one of its passes.
        but = FORWARDS if not self._twins else ()
        self._watched += [Watch(live.__dict__, but), Watch(live._modules)]
        for swap in swaps:
            if swap.table not in ("__dict__", "_modules"):
                tables[swap.table] = tables[swap.table].copy()
        for swap in swaps:
            table = tables if swap.table == "__dict__" else tables[swap.table]
            old = table.get(swap.key)
            if isinstance(old, nn.ModuleList | nn.ModuleDict):
                self._watched.append(Watch(old._modules))  # what replaces it was made of its entries
            table[swap.key] = swap.value
        hooks = tuple(str(swap.key) for swap in swaps if swap.table in HOOK_TABLES)
        kind: Any = type(live)
        return self._enter(live, tables, tapped_class(kind, hooks) if hooks else kind)

    def _copy_stand_in(self, module: nn.Module) -> nn.Module:
        """A module that is not the model's own, copied if it holds one that is."""
        changed = any(self._twin_of(child) is not child for child in module.children())
        return self._enter(module, dict(module.__dict__), type(module)) if changed else module

    def _enter(self, live: nn.Module, tables: dict[str, Any], kind: type) -> nn.Module:
        twin: nn.Module = object.__new__(kind)
        self._twins[id(live)], self._live[id(twin)] = twin, live
        children = tables["_modules"]
        tables["_modules"] = {
            name: None if child is None else self._twin_of(child) for name, child in children.items()
        }
        vars(twin).update(tables)
        if tables["_modules"] != live._modules:
            rebind_forward(live, twin)
        rebind_compiled_call(live, twin)
        return twin


def route(model: nn.Module, owners: Iterable[int]) -> tuple[set[int], set[int]]:
    """The way from a model to some of its modules, level by level and no deeper than they lie.

    Args:
        model: where to begin.
        owners: the modules, by identity.

    Returns:
        The modules that were seen, and those on the way (with both ends), by identity.

    Raises:
        ValueError: one of them is not in the model.
    """
    parents: dict[int, int] = {id(model): 0}
    level, missing = [model], set(owners) - {id(model)}
    while missing and level:
        below = []
        for module in level:
            for child in module._modules.values():
                if child is not None and id(child) not in parents:
                    parents[id(child)] = id(module)
                    below.append(child)
        missing.difference_update(map(id, below))
        level = below
    if missing:
        raise ValueError(f"{len(missing)} modules of these swaps are not in this {type(model).__name__}")
    copied = {id(model)}
    for owner in owners:
        while owner not in copied:
            copied.add(owner)
            owner = parents[owner]
    return set(parents), copied


@functools.cache
def tapped_class(kind: Any, hooks: tuple[str, ...]) -> type:
    """The class of a copy with hooks that its original has not.

    A compiled graph is bound to the types of modules, not to their hooks: without a class of its own, the
    graph of the plain model would be used for the copy, and nothing would be kept.
    """
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    return types.new_class(kind.__name__, (kind,), exec_body=lambda body: body.update(names))
