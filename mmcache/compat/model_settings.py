"""How a model's owner has set its layers: what changes what they compute without being an argument of a call.

LoRA adapters and their scales (peft), IP-Adapter scales and other attention processors, GLIGEN's switches,
FreeU, blocks that are exchanged. They are set between two calls, by a callback, say; a kept feature is that
of before.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from mmcache.compat.layer_changes import LayerChanges
from mmcache.compat.model_weights import ModelWeights
from mmcache.compat.watched import Watched, WatchedTogether, is_plain, own_settings

# What peft keeps on the layers that it wraps.
TUNER = ("scaling", "_active_adapter", "_disable_adapters", "merged_adapters")
SWITCHES = ("processor", "enabled", "scale")


def watched(model: nn.Module) -> Iterator[Watched]:
    """What there is to watch in a model as it is now."""
    yield from watched_in_model(model)
    yield from watched_in_blocks(model)
    for module in model.modules():
        yield from watched_in_layer(module)


def watched_in_model(model: nn.Module) -> Iterator[Watched]:
    """Its own settings, and peft's."""
    tables = vars(model)
    yield Watched(tables, own_settings, sized=True)
    yield Watched(tables, peft_names, sized=True)
    if isinstance(tables.get("peft_config"), dict):
        yield Watched(tables["peft_config"], list(tables["peft_config"]), sized=True)


def watched_in_blocks(model: nn.Module) -> Iterator[Watched]:
    """The lists of its blocks, and the settings of each block, such as FreeU's."""
    blocks = [(model, child) for child in model.children()]
    for parent, child in blocks:
        if isinstance(child, nn.ModuleList):
            yield Watched(child._modules, list(child._modules), sized=True)
            if parent is model:
                blocks += [(child, block) for block in child.children()]
        elif not type(child).__module__.startswith("torch."):
            yield Watched(vars(child), own_settings, sized=True)


def watched_in_layer(layer: nn.Module) -> Iterator[Watched]:
    """What peft keeps on a layer that it wraps, and a layer's switches and attention processor."""
    tables, children = vars(layer), layer._modules
    if "base_layer" in children:
        yield Watched(tables, [name for name in TUNER if name in tables])
    if type(layer).__module__.startswith("torch."):
        return
    if switches := [name for name in SWITCHES if is_switch(name, tables)]:
        yield Watched(tables, switches)
    if "processor" in children:
        yield Watched(children, ["processor"])
    processor = tables.get("processor") or children.get("processor")
    of_processor = getattr(processor, "__dict__", {})
    if names := own_settings(of_processor):
        yield Watched(of_processor, names)


def is_switch(name: str, tables: dict[str, Any]) -> bool:
    """Whether a layer has this setting, as an object that is exchanged or as a plain value."""
    return name in tables and (name == "processor" or is_plain(tables[name]))


def peft_names(tables: dict[str, Any]) -> list[str]:
    """What peft leaves on a model that it has put adapters into."""
    return [name for name in ("peft_config",) if name in tables]


def autocast() -> tuple[Any, ...]:
    """The precision that operations take by themselves now."""
    if not torch._C._is_any_autocast_enabled():
        return ()
    return tuple(
        (torch.is_autocast_enabled(kind), torch.get_autocast_dtype(kind)) for kind in ("cuda", "cpu")
    )


class ModelSettings:
    """Numbers the ways in which a model was set, one after another."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._number = self._exchanged = 0
        self._autocast: tuple[Any, ...] = ()
        self._watched: WatchedTogether | None = None  # until it is asked for the first time
        self._weights: ModelWeights | None = None
        self._layers: LayerChanges | None = None

    @property
    def patches(self) -> int:
        """How often forwards were put on layers or taken off, or layers exchanged, before a step began."""
        return self._exchanged + (0 if self._layers is None else self._layers.patches)

    def begin_step(self, own_code: bool) -> None:
        """Notice other weights and layers; looked at where somebody's own code runs between the steps."""
        if not own_code:
            return
        if self._weights is None or not self._weights.is_same():
            if self._weights is not None:
                self._number += 1
                self._exchanged += not self._weights.has_same_objects()
            self._weights = ModelWeights(self._model)
        if self._layers is None:
            self._layers = LayerChanges(self._model)
        elif self._layers.changed():
            self._change()

    def forget_weights(self) -> None:
        """Hold no weights that the model may have no more."""
        self._weights = None

    def number(self) -> int:
        """The number of how the model is set now; looked at in every call."""
        if self._watched is None:
            self._watched, self._autocast = WatchedTogether(watched(self._model)), autocast()
        elif self._autocast != (now := autocast()):
            self._autocast = now
            self._number += 1
        if not self._watched.is_same():
            self._change()
        return self._number

    def _change(self) -> None:
        self._number += 1
        self._watched = WatchedTogether(watched(self._model))
