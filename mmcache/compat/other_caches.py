"""Whether somebody else's cache is at work on a model; two would not know of each other's steps."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from mmcache.errors import UnsupportedPipelineError
from mmcache.patching.plain_model import PlainModel

# By what the names of its hooks begin with, in diffusers' registry of hooks; read from diffusers.hooks
# (0.42).
BY_HOOKS: Mapping[str, str] = {
    "fbc_": "FirstBlockCache",
    "faster_cache": "FasterCache",
    "mag_cache": "MagCache",
    "pyramid_attention_broadcast": "PyramidAttentionBroadcast",
    "sea_cache": "SeaCache",
    "taylorseer_cache": "TaylorSeerCache",
    "text_kv_cache": "TextKVCache",
}


def other_cache(model: nn.Module, seen: PlainModel | None = None) -> str:
    """What was found, and what to do; "" if there is none.

    diffusers' own caches are known by the model's `is_cache_enabled` or, where a function has put one on, by
    the names of its hooks; cache-dit and ParaAttention leave `_is_cached` on the model; TeaCache's patches
    `enable_teacache`; DeepCache's helper replaces forwards.

    Args:
        model: the denoiser.
        seen: what is known of it where nothing was put on its layers: then they need not be looked at.
    """
    kind = type(model).__name__
    only = "and a model can follow one cache only"
    if getattr(model, "is_cache_enabled", False):
        config = type(getattr(model, "_cache_config", None)).__name__
        return (
            f"diffusers' cache is enabled on this {kind} ({config}), {only}: call disable_cache() on it first"
        )
    if getattr(model, "_is_cached", False):
        return (
            f"another cache (cache-dit or ParaAttention) has changed this {kind}, {only}: take it off first "
            f"(cache_dit.disable_cache(pipe)), or load the model anew"
        )
    if getattr(model, "enable_teacache", False):
        return (
            f"TeaCache has changed this {kind}, {only}: set enable_teacache to False, or load the model anew"
        )
    own = vars(model)
    if seen is not None and "_diffusers_hook" not in own and not is_deepcache(own.get("forward")):
        return ""
    if name := hooked_cache(model):
        return (
            f"diffusers' {name} was applied to this {kind}, {only}: remove its hooks from the blocks' "
            f"_diffusers_hook, or load the model anew"
        )
    if helped_by_deepcache(model):
        return f"DeepCache's helper is enabled on this {kind}, {only}: call helper.disable() first"
    return ""


def refuse_other_cache(model: nn.Module, seen: PlainModel | None = None) -> str:
    """What is said of DeepCache's helper, which stands above: it calls the model as it likes; "" of none.

    Args:
        model: the denoiser.
        seen: as for `other_cache`.

    Raises:
        UnsupportedPipelineError: it is another one.
    """
    found = other_cache(model, seen)
    if found and not helped_by_deepcache(model):
        raise UnsupportedPipelineError(found)
    return found


def hooked_cache(model: nn.Module) -> str:
    """The name of a cache of diffusers that a function has put on a model; "" if there is none."""
    for module in model.modules():
        registry = vars(module).get("_diffusers_hook")
        for hook in getattr(registry, "hooks", ()):
            found = next((name for start, name in BY_HOOKS.items() if hook.startswith(start)), "")
            if found:
                return found
    return ""


def helped_by_deepcache(model: nn.Module) -> bool:
    """Whether the helper of the package DeepCache has replaced a forward in the model."""
    return any(is_deepcache(vars(module).get("forward")) for module in model.modules())


def is_deepcache(forward: Any) -> bool:
    return getattr(forward, "__qualname__", "").startswith("DeepCache")
