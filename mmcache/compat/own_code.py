"""Where somebody's own code may run between the steps of a pipeline that diffusers brings along.

A callback is the plain way, and no other leaves a trace on the run: hooks and forwards around the denoiser,
a sampler with a step of its own, methods put on the pipeline or on its scheduler. Such code may turn the
latent, or change the model's weights.
"""

import functools
from typing import Any

from torch import nn
from torch.nn.modules import module as all_modules

from mmcache.compat.layer_readers import OF_ALL_MODULES, TABLES, is_of_library, may_read
from mmcache.patching.scheduler_patch import plain_class, step_name

NEUTRAL = ("contextlib", "functools")  # whose functions stand around those of libraries


@functools.lru_cache(maxsize=4096)
def is_own_frame(module: str) -> bool:
    """Whether a function of the module of this name is somebody's own."""
    return not is_of_library(module) and module not in NEUTRAL


def has_own_methods(thing: Any) -> bool:
    """Whether somebody has put something in the place of a method of this very pipeline or scheduler."""
    own = vars(thing)
    return any(may_read(own[name]) for name in own.keys() & names_of_methods(plain_class(thing)))


@functools.lru_cache(maxsize=256)
def names_of_methods(kind: type) -> frozenset[str]:
    """The names of what a class's instances can call."""
    return frozenset(name for name in dir(kind) if callable(getattr(kind, name, None)))


def has_own_hooks(model: nn.Module) -> bool:
    """Whether somebody's hooks run before or behind the calls of a model itself."""
    own = vars(model)
    tables = [own.get(name) for name in TABLES] + [getattr(all_modules, name) for name in OF_ALL_MODULES]
    return any(may_read(hook) for table in tables if table for hook in table.values())


def has_own_step(scheduler: Any) -> bool:
    """Whether the sampler's step is somebody's own: what it does to a latent is not known."""
    kind = plain_class(scheduler)
    names = (step_name(kind) or "step", "scale_model_input")
    steps = [getattr(kind, name, None) for name in names]
    return any(step is not None and may_read(step) for step in steps)
