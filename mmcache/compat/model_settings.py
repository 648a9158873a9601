"""How a model's owner has set its layers: what changes what they compute without being an argument of a call.

LoRA adapters and their scales (peft), IP-Adapter scales and other attention processors, GLIGEN's switches,
FreeU, blocks that are exchanged. They are set between two calls, by a callback, say; a kept feature is that
of before.
"""

from collections.abc import Callable, Iterator
from operator import itemgetter
from typing import Any

from torch import nn

from mmcache.compat.model_weights import ModelWeights

# What peft keeps on the layers that it wraps.
TUNER = ("scaling", "_active_adapter", "_disable_adapters", "merged_adapters")
SWITCHES = ("processor", "enabled", "scale")
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


def watched(model: nn.Module) -> Iterator[Watched]:
    """What there is to watch in a model as it is now."""
    tables = vars(model)
    if isinstance(tables.get("peft_config"), dict):
        yield Watched(tables["peft_config"], list(tables["peft_config"]), sized=True)
    blocks = [(model, child) for child in model.children()]
    for parent, child in blocks:
        if isinstance(child, nn.ModuleList):
            yield Watched(child._modules, list(child._modules), sized=True)
            if parent is model:
                blocks += [(child, block) for block in child.children()]
        elif not type(child).__module__.startswith("torch."):
            yield Watched(vars(child), own_settings, sized=True)
    for module in model.modules():
        tables, children = vars(module), module._modules
        if "scaling" in tables and "base_layer" in children:
            yield Watched(tables, [name for name in TUNER if name in tables])
        if type(module).__module__.startswith("torch."):
            continue
        switches = [
            name for name in SWITCHES if name in tables and (name == "processor" or is_plain(tables[name]))
        ]
        if switches:
            yield Watched(tables, switches)
        if "processor" in children:
            yield Watched(children, ["processor"])
        processor = tables.get("processor") or children.get("processor")
        if processor is not None and is_plain(getattr(processor, "__dict__", {}).get("scale")):
            yield Watched(vars(processor), [name for name in ("scale",) if name in vars(processor)])


class ModelSettings:
    """Numbers the ways in which a model was set, one after another."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._number = 0
        self._watched: list[Watched] | None = None  # until it is asked for the first time
        self._weights: ModelWeights | None = None

    def look_at_weights(self, thorough: bool) -> None:
        """Notice other weights and layers; looked at before each step, where somebody's code runs there."""
        if self._weights is None or not self._weights.is_same():
            self._number += self._weights is not None
            self._weights = ModelWeights(self._model, thorough)

    def forget_weights(self) -> None:
        """Hold no weights that the model may have no more."""
        self._weights = None

    def number(self) -> int:
        """The number of how the model is set now; looked at in every call."""
        if self._watched is None:
            self._watched = list(watched(self._model))
        for one in self._watched:
            if not one.is_same():
                self._number += 1
                self._watched = list(watched(self._model))
                break
        return self._number
