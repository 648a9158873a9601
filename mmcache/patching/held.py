"""Pipelines are held weakly, so that `del pipe` frees an accelerated pipe as it frees a plain one."""

import weakref
from collections.abc import Callable
from typing import Any

from mmcache.patching.pipeline_kinds import is_pipeline


def held(owner: Any) -> Callable[[], Any]:
    """What gives an owner back: None for a pipeline that is gone; anything else is kept alive."""
    return weakref.ref(owner) if is_pipeline(owner) else lambda: owner


def when_gone(owner: Any, then: Callable[[], None]) -> Callable[[], object]:
    """Do something once a pipeline is gone; returns what calls it off. `then` must not refer to the owner.

    A bare model is part of the cycle with what is placed on it, so the garbage collector frees both.
    """
    if not is_pipeline(owner):
        return lambda: None
    finalizer = weakref.finalize(owner, then)
    finalizer.atexit = False
    return finalizer.detach
