"""What people put on the layers of a model, or set on them, in the middle of a run.

Forwards that are put on layers are found wherever they are. Of settings it looks at the first layer of each
class in each part of the model. So it sees what is done to all layers of a kind, such as convolutions that
are made seamless. Weights and layers that are exchanged are `ModelWeights`' business.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from torch import nn

from mmcache.compat.layer_classes import LayerClasses
from mmcache.compat.layer_readers import is_foreign
from mmcache.compat.watched import Watched, WatchedTogether, own_settings


class LayerChanges:
    """Whether anything was done to the layers of a model, or to their classes, since it was last asked.

    It takes microseconds: mostly the sum of the sizes of all layers' tables of attributes.

    Attributes:
        patches: how often forwards were put on layers, or taken off.
    """

    def __init__(self, model: nn.Module) -> None:
        self.patches = 0
        self._model = model
        self._look()

    def _look(self) -> None:
        self._tables = [vars(module) for module in self._model.modules() if module is not self._model]
        self._classes = LayerClasses(self._model)
        self._size = sum(map(len, self._tables))
        self._forwards = forwards_in(self._tables)
        self._watched = WatchedTogether(some_layers(self._model))

    def changed(self) -> bool:
        """Whether a cached feature may be that of another model than it is now."""
        before, patched = self._forwards, False
        if self._is_patched():
            self.patches += 1
            self._forwards = forwards_in(self._tables)
            patched = foreign(before) != foreign(self._forwards)
        if not self._classes.is_same():
            self.patches += 1
            patched = True
        if not patched and self._watched.is_same():
            return False
        self._look()
        return True

    def _is_patched(self) -> bool:
        size = sum(map(len, self._tables))
        if size != self._size:  # somebody has left something on a layer
            self._size = size
            if len(forwards_in(self._tables)) != len(self._forwards):
                return True
        return any(table.get("forward") is not forward for table, forward in self._forwards)


Forwards = list[tuple[dict[str, Any], Any]]


def forwards_in(tables: Iterable[dict[str, Any]]) -> Forwards:
    """The forwards that were put on layers, with the tables that they are in."""
    return [(table, table["forward"]) for table in tables if "forward" in table]


def foreign(forwards: Forwards) -> set[int]:
    return {id(forward) for _, forward in forwards if is_foreign(forward)}


def some_layers(model: nn.Module) -> Iterator[Watched]:
    """Settings of the first layer of each class in each part of a model, and the model's mode."""
    if "training" in vars(model):  # not on a scripted one
        yield Watched(vars(model), ["training"])
    for part in model.children():
        kinds = set()
        for layer in part.modules():
            if type(layer) not in kinds and own_settings(vars(layer)):
                yield Watched(vars(layer), own_settings, sized=True)
            kinds.add(type(layer))
