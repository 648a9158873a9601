"""Which adapters there are. The only module-level state of the library.

An adapter comes from one of three places, each of which overrides those before it:

1. the files of `mmcache.adapters`, which are bundled;
2. other people's packages, by the entry-point group `mmcache.adapters`. A module that describes a class which
   a package before it describes is left out with a warning, since the order of packages is chance;
3. calls of `register`, whenever they are made. The last one for a class is used.
"""

import importlib
import pkgutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from importlib.metadata import entry_points
from typing import Any, TypeVar

from torch import nn

from mmcache.architectures import ENTRY_POINT_GROUP
from mmcache.architectures.adapter import Adapter, SideAdapter
from mmcache.caller import warn

AnyAdapter = TypeVar("AnyAdapter", Adapter, SideAdapter)


@dataclass(frozen=True)
class Registry:
    """All adapters, by the names of the model classes that they describe. A change makes a new one."""

    denoisers: Mapping[str, Adapter]
    side_networks: Mapping[str, SideAdapter]

    def overridden_by(self, others: "Registry") -> "Registry":
        return Registry(
            {**self.denoisers, **others.denoisers}, {**self.side_networks, **others.side_networks}
        )

    def with_adapter(self, adapter: Adapter | SideAdapter) -> "Registry":
        if isinstance(adapter, SideAdapter):
            return self.overridden_by(Registry({}, dict.fromkeys(adapter.networks, adapter)))
        return self.overridden_by(Registry(dict.fromkeys(adapter.denoisers, adapter), {}))

    def refuse_doubles(self, others: "Registry") -> None:
        """Refuse two adapters for one class.

        Raises:
            ValueError: both describe a class.
        """
        for mine, theirs in ((self.denoisers, others.denoisers), (self.side_networks, others.side_networks)):
            for name in mine.keys() & theirs.keys():
                raise ValueError(
                    f"adapter {theirs[name].name!r} describes {name}, as adapter {mine[name].name!r} does. "
                    f"mmcache.register(adapter) chooses one of them"
                )


EMPTY = Registry({}, {})

_registered = EMPTY  # by calls of `register`
_found: Registry | None = None  # in files and packages; None before the first look-up
_registering = threading.Lock()
_loading = threading.Lock()
# What the module that is being imported registers. A context's own, so that a call from another thread in the
# meantime is one of its own.
_imported: ContextVar[list[Any] | None] = ContextVar("imported", default=None)


def register(adapter: AnyAdapter) -> AnyAdapter:
    """Make an adapter known, in place of any other adapter of its model classes."""
    global _registered
    importing = _imported.get()
    if importing is not None:
        importing.append(adapter)
        return adapter
    with _registering:
        _registered = _registered.with_adapter(adapter)
    return adapter


def known() -> Registry:
    """All adapters; the first look-up imports those in files and packages.

    Raises:
        ImportError: a bundled adapter cannot be imported; the message says which. Nothing is kept, and the
            next look-up tries again.
        RuntimeError: an adapter's module looks something up while it is imported.
    """
    global _found
    if _found is None:
        if _imported.get() is not None:
            raise RuntimeError("adapters cannot be looked up while the module of an adapter is imported")
        with _loading:
            if _found is None:
                _found = packaged(bundled())
    return _found.overridden_by(_registered)


def bundled() -> Registry:
    """The adapters of `mmcache.adapters`."""
    package = importlib.import_module("mmcache.adapters")
    found = EMPTY
    for module in pkgutil.iter_modules(package.__path__):
        name = f"{package.__name__}.{module.name}"
        sys.modules.pop(name, None)  # of an attempt that failed: only what is imported registers something
        try:
            adapters = imported(partial(importlib.import_module, name))
            found.refuse_doubles(adapters)
        except Exception as error:
            raise ImportError(f"the bundled adapter {name} cannot be loaded: {error}") from error
        found = found.overridden_by(adapters)
    return found


def packaged(found: Registry) -> Registry:
    """The bundled adapters, overridden by those of other packages."""
    others = EMPTY
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name):
        try:
            adapters = imported(entry.load)
            others.refuse_doubles(adapters)
        except Exception as error:  # somebody else's package must not stop ours
            warn(f"adapter {entry.name!r} ({entry.value}) cannot be loaded: {error}")
        else:
            others = others.overridden_by(adapters)
    return found.overridden_by(others)


def imported(load: Callable[[], Any]) -> Registry:
    """What a module registers while it is imported.

    Raises:
        ValueError: two of its adapters describe one class.
    """
    before = _imported.set([])
    try:
        load()
        adapters = _imported.get() or []
    finally:
        _imported.reset(before)
    found = EMPTY
    for adapter in adapters:
        one = EMPTY.with_adapter(adapter)
        found.refuse_doubles(one)
        found = found.overridden_by(one)
    return found


def adapters() -> list[Adapter]:
    """All adapters of denoisers, by name, each with the classes for which no other is used."""
    table = known().denoisers
    return [replace(adapter, denoisers=classes) for adapter, classes in used(table)]


def side_adapters() -> list[SideAdapter]:
    """All adapters of networks beside a denoiser; likewise."""
    table = known().side_networks
    return [replace(adapter, networks=classes) for adapter, classes in used(table)]


def used(table: Mapping[str, AnyAdapter]) -> Iterator[tuple[AnyAdapter, tuple[str, ...]]]:
    """Each adapter of a table once, by name, and the classes for which it is used."""
    distinct = {id(adapter): adapter for adapter in table.values()}
    for adapter in sorted(distinct.values(), key=lambda adapter: adapter.name):
        yield adapter, tuple(name for name, its in table.items() if its is adapter)


def denoiser_names() -> list[str]:
    """The names of all model classes that some adapter describes."""
    return sorted(known().denoisers)


def closest_denoiser_name(model: nn.Module) -> str:
    """The known model class whose name is most like that of a model's class, for messages."""
    return get_close_matches(type(model).__name__, denoiser_names(), n=1, cutoff=0)[0]


def adapter_for(model: nn.Module) -> Adapter | None:
    """The adapter of the model's class or the nearest of its base classes; None if there is none."""
    return nearest(model, known().denoisers)


def side_adapter_for(model: nn.Module) -> SideAdapter | None:
    """The same for a network beside a denoiser."""
    return nearest(model, known().side_networks)


def nearest(model: nn.Module, table: Mapping[str, AnyAdapter]) -> AnyAdapter | None:
    return next((table[cls.__name__] for cls in type(model).__mro__ if cls.__name__ in table), None)
