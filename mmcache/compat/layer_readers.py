"""Layers that somebody looks into at every step, by hooks or forwards that collect or edit features.

On a cached step the deep layers do not run, and neither do their hooks: features and steps would no longer
belong together. What torch, diffusers, accelerate and peft put on layers only computes. A hook that only
computes can say so: `hook.computes_only = True`.
"""

import functools
import types
from collections.abc import Iterable, Iterator, Set
from typing import Any

from torch import nn
from torch.nn.modules import module as all_modules
from torch.utils.hooks import RemovableHandle

COMPUTE_ONLY = ("torch.", "accelerate.", "diffusers.", "peft.", "mmcache.", "transformers.")
TABLES = ("_forward_hooks", "_forward_pre_hooks")
OF_ALL_MODULES = ("_global_forward_hooks", "_global_forward_pre_hooks")


def hooks_so_far() -> int:
    """A number that grows whenever anybody registers a hook on any module."""
    return int(RemovableHandle.next_id)


def read_layers(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """The layers that somebody looks into, and with what."""
    everywhere = [
        f"hook {name_of(hook)}"
        for table in OF_ALL_MODULES
        for hook in getattr(all_modules, table).values()
        if may_read(hook)
    ]
    layers = [module for module in model.modules() if module is not model]
    of_class = {kind: readers_of_class(kind) for kind in set(map(type, layers))}
    return [
        (module, name)
        for module in layers
        for name in (*everywhere, *of_class[type(module)], *readers_of(module))
    ]


def readers_of_class(kind: type[nn.Module]) -> tuple[str, ...]:
    """What somebody has put on the class of layers, such as `Attention.forward = ...`."""
    if not is_put_on(kind, "forward") or not may_read(kind.forward):
        return ()
    return (f"forward {name_of(kind.forward)}",)


def readers_of(module: nn.Module) -> Iterator[str]:
    for table in TABLES:
        for hook in getattr(module, table).values():
            if may_read(hook):
                yield f"hook {name_of(hook)}"
    forward = vars(module).get("forward")
    if forward is not None and may_read(forward):
        yield f"forward {name_of(forward)}"


def may_read(function: Any) -> bool:
    """Whether a hook or a forward is somebody's own."""
    if getattr(function, "computes_only", False):
        return False
    if isinstance(function, functools.partial):
        return may_read(function.func)
    return is_foreign(function)


def is_foreign(function: Any) -> bool:
    """Whether it comes from none of the libraries whose hooks and forwards only compute.

    Neither a library's function that somebody has wrapped does, nor somebody's that a library has wrapped.
    """
    while function is not None:
        if isinstance(function, functools.partial):
            function = function.func
        if not is_of_library(module_of(function)):
            return True
        function = getattr(function, "__wrapped__", None)
    return False


def is_of_library(module: str) -> bool:
    return f"{module}.".startswith(COMPUTE_ONLY)


def module_of(function: Any) -> str:
    """Where a function was written; `functools.wraps` gives it the `__module__` of what it wraps."""
    function = getattr(function, "__func__", function)
    if isinstance(function, types.FunctionType):
        return str(function.__globals__.get("__name__"))
    if isinstance(function, types.BuiltinFunctionType):
        return str(function.__module__)
    return type(function).__module__


def is_put_on(kind: type, name: str) -> bool:
    """Whether a method of a library's class comes from somebody else."""
    home = next((cls for cls in kind.__mro__ if name in vars(cls)), None)
    return home is not None and is_of_library(home.__module__) and is_foreign(vars(home)[name])


def name_of(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__qualname__", type(function).__name__)).rpartition("<locals>.")[2]


def readers(found: Iterable[tuple[nn.Module, str]], kept: Iterable[Set[nn.Module]]) -> tuple[str, ...]:
    """What looks into layers that a cached step leaves out.

    Args:
        found: as `read_layers` returns it.
        kept: the modules that a cached step runs, for each branch.
    """
    return tuple(sorted({name for alive in kept for module, name in found if module not in alive}))
