"""Whether somebody else's cache is at work on a model; two would not know of each other's steps."""

from torch import nn


def other_cache(model: nn.Module) -> str:
    """What was found, and what to do; "" if there is none.

    diffusers' own caches are known by the model's `is_cache_enabled`; cache-dit and ParaAttention leave
    `_is_cached` on the model; TeaCache's patches `enable_teacache`.
    """
    kind = type(model).__name__
    if getattr(model, "is_cache_enabled", False):
        config = type(getattr(model, "_cache_config", None)).__name__
        return (
            f"diffusers' cache is enabled on this {kind} ({config}), and a model can follow one cache only: "
            f"call disable_cache() on it first"
        )
    if getattr(model, "_is_cached", False):
        return (
            f"another cache (cache-dit or ParaAttention) has changed this {kind}, and a model can follow one "
            f"cache only: take it off first (cache_dit.disable_cache(pipe)), or load the model anew"
        )
    if getattr(model, "enable_teacache", False):
        return (
            f"TeaCache has changed this {kind}, and a model can follow one cache only: set enable_teacache "
            f"to False, or load the model anew"
        )
    return ""
