"""Which adapters there are. The only module-level state of the library."""

import importlib
import pkgutil
import warnings
from importlib.metadata import entry_points

from torch import nn

from mmcache.adapter import Adapter

ENTRY_POINT_GROUP = "mmcache.adapters"

_by_denoiser: dict[str, Adapter] = {}
_loaded: list[str] = []


def register(adapter: Adapter) -> Adapter:
    """Make an adapter known.

    Raises:
        ValueError: one of its model classes is already described by another adapter.
    """
    for name in adapter.denoisers:
        known = _by_denoiser.get(name)
        if known is not None and known != adapter:
            raise ValueError(
                f"{name} is already described by adapter {known.name!r}; {adapter.name!r} cannot take it"
            )
    _by_denoiser.update(dict.fromkeys(adapter.denoisers, adapter))
    return adapter


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
    """All adapters, by name."""
    _load()
    return sorted({adapter.name: adapter for adapter in _by_denoiser.values()}.values(), key=lambda a: a.name)


def denoiser_names() -> list[str]:
    """The names of all model classes that some adapter describes."""
    _load()
    return sorted(_by_denoiser)


def adapter_for(model: nn.Module) -> Adapter | None:
    """The adapter of the model's class or the nearest of its base classes; None if there is none."""
    _load()
    return next(
        (_by_denoiser[cls.__name__] for cls in type(model).__mro__ if cls.__name__ in _by_denoiser), None
    )
