"""Where somebody's own code may run between the steps of a pipeline that diffusers brings along.

A callback is the plain way, and no other leaves a trace on the run: hooks and forwards around the denoiser,
a sampler with a step of its own, methods put on the pipeline or on its scheduler. Such code may turn the
latent, or change the model's weights.
"""

import functools
import types
from typing import Any

from torch import nn
from torch.nn.modules import module as all_modules

from mmcache.compat.layer_readers import OF_ALL_MODULES, TABLES, is_foreign, is_of_library
from mmcache.patching.scheduler_patch import plain_class, step_name

NEUTRAL = ("contextlib", "functools")  # whose functions stand around those of libraries
METHODS = frozenset((types.FunctionType, types.MethodType))


@functools.lru_cache(maxsize=4096)
def is_own_frame(module: str) -> bool:
    """Whether a function of the module of this name is somebody's own."""
    return not is_of_library(module) and module not in NEUTRAL


def has_own_methods(thing: Any) -> bool:
    """Whether somebody has put a function on this very pipeline or scheduler."""
    values = vars(thing).values()
    if METHODS.isdisjoint(map(type, values)):  # as usual
        return False
    return any(type(value) in METHODS and is_foreign(value) for value in values)


def has_own_hooks(model: nn.Module) -> bool:
    """Whether somebody's hooks run before or behind the calls of a model itself."""
    own = vars(model)
    tables = [own.get(name) for name in TABLES] + [getattr(all_modules, name) for name in OF_ALL_MODULES]
    return any(is_foreign(hook) for table in tables if table for hook in table.values())


def has_own_step(scheduler: Any) -> bool:
    """Whether the sampler's step is somebody's own: what it does to a latent is not known."""
    kind = plain_class(scheduler)
    names = (step_name(kind) or "step", "scale_model_input")
    return any(is_foreign(getattr(kind, name, None)) for name in names)
