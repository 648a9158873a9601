"""Models that were looked at before: whether they still are of the same modules, with nothing put on them.

A walk over a model takes milliseconds, and a service accelerates a pipeline for every request. What was
found out about a plain model is kept while it lives, and holds while it is made of the same modules.
"""

import threading
from collections.abc import Hashable
from typing import Any
from weakref import WeakKeyDictionary, ref

from torch import nn

# What accelerate's and diffusers' hooks, and whoever replaces a forward, leave on a module.
FOREIGN = frozenset({"forward", "_old_forward", "_diffusers_hook", "_compiled_call_impl"})


class PlainModel:
    """A model on whose layers nobody has put anything.

    It holds the model's modules weakly.

    Attributes:
        facts: what was found out about it, such as how many branches it has.
    """

    def __init__(self, model: nn.Module) -> None:
        self.facts: dict[Hashable, Any] = {}
        self._modules = [
            (ref(module), tuple(map(id, module._modules.values())))
            for module in model.modules()
            if module is not model
        ]
        self._children = tuple(map(id, model._modules.values()))

    def is_current(self, model: nn.Module) -> bool:
        """Whether the model is made of the same modules, and still nobody has put anything on its layers."""
        if tuple(map(id, model._modules.values())) != self._children:
            return False
        for reference, children in self._modules:
            module = reference()
            if module is None:
                return False
            tables = module.__dict__
            now = tables.get("_modules")  # None for a module of compiled code
            if now is None or (tuple(map(id, now.values())) if now else ()) != children:
                return False
            if not tables.keys().isdisjoint(FOREIGN):
                return False
        return True


_known: WeakKeyDictionary[nn.Module, PlainModel] = WeakKeyDictionary()
_lock = threading.Lock()


def plain_model(model: nn.Module) -> PlainModel | None:
    """What is known of a plain model; None for one on whose layers somebody has put something.

    What stands on the model itself is not looked at: mmcache's own patch does.
    """
    with _lock:
        known = _known.get(model)
    if known is not None and known.is_current(model):
        return known
    fresh = PlainModel(model)
    if not fresh.is_current(model):
        return None
    with _lock:
        _known[model] = fresh
    return fresh
