"""Which adapters there are. The only module-level state of the library."""

import importlib
import pkgutil
import warnings
from difflib import get_close_matches
from importlib.metadata import entry_points
from typing import TypeVar

from torch import nn

from mmcache.architectures.adapter import Adapter, SideAdapter

ENTRY_POINT_GROUP = "mmcache.adapters"

AnyAdapter = TypeVar("AnyAdapter", Adapter, SideAdapter)

_by_denoiser: dict[str, Adapter] = {}
_by_side_network: dict[str, SideAdapter] = {}
_loaded: list[str] = []


def register(adapter: AnyAdapter) -> AnyAdapter:
    """Make an adapter known.

    Raises:
        ValueError: one of its model classes is already described by another adapter.
    """
    if isinstance(adapter, SideAdapter):
        _add(adapter, adapter.networks, _by_side_network)
    else:
        _add(adapter, adapter.denoisers, _by_denoiser)
    return adapter


def _add(adapter: AnyAdapter, names: tuple[str, ...], table: dict[str, AnyAdapter]) -> None:
    for name in names:
        known = table.get(name)
        if known is not None and known != adapter:
            raise ValueError(
                f"{name} is already described by adapter {known.name!r}; {adapter.name!r} cannot take it"
            )
    table.update(dict.fromkeys(names, adapter))


def _load() -> None:
    """Import our own adapters and those of other packages, once, when the first look-up needs them."""
    if _loaded:
        return
    package = importlib.import_module("mmcache.adapters")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
        _loaded.append(module.name)
    for entry in entry_points(group=ENTRY_POINT_GROUP):
        try:
            entry.load()
        except Exception as error:  # somebody else's package must not stop ours
            warnings.warn(f"adapter {entry.name!r} ({entry.value}) cannot be loaded: {error}", stacklevel=4)
        _loaded.append(entry.name)


def adapters() -> list[Adapter]:
    """All adapters of denoisers, by name."""
    _load()
    return sorted({adapter.name: adapter for adapter in _by_denoiser.values()}.values(), key=lambda a: a.name)


def side_adapters() -> list[SideAdapter]:
    """All adapters of networks beside a denoiser, by name."""
    _load()
    by_name = {adapter.name: adapter for adapter in _by_side_network.values()}
    return sorted(by_name.values(), key=lambda a: a.name)


def denoiser_names() -> list[str]:
    """The names of all model classes that some adapter describes."""
    _load()
    return sorted(_by_denoiser)


def closest_denoiser_name(model: nn.Module) -> str:
    """The known model class whose name is most like that of a model's class, for messages."""
    known = denoiser_names()
    return next(iter(get_close_matches(type(model).__name__, known, n=1, cutoff=0.0)), "none")


def adapter_for(model: nn.Module) -> Adapter | None:
    """The adapter of the model's class or the nearest of its base classes; None if there is none."""
    return _nearest(model, _by_denoiser)


def side_adapter_for(model: nn.Module) -> SideAdapter | None:
    """The same for a network beside a denoiser."""
    return _nearest(model, _by_side_network)


def _nearest(model: nn.Module, table: dict[str, AnyAdapter]) -> AnyAdapter | None:
    _load()
    return next((table[cls.__name__] for cls in type(model).__mro__ if cls.__name__ in table), None)
