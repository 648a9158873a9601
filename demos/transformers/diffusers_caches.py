"""Caches of diffusers, as they are switched on for a pipeline that is used once.

Nothing takes their hooks off.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from diffusers import (
    FirstBlockCacheConfig,
    MagCacheConfig,
    PyramidAttentionBroadcastConfig,
    TaylorSeerCacheConfig,
)
from diffusers.hooks import (
    HookRegistry,
    apply_first_block_cache,
    apply_mag_cache,
    apply_pyramid_attention_broadcast,
    apply_taylorseer_cache,
)
from diffusers.hooks.hooks import CacheContext, StateManager, _set_cache_context
from diffusers.hooks.pyramid_attention_broadcast import PyramidAttentionBroadcastState

from mmcache.testing.probes import bytes_reachable
from mmcache_demos.transformers.left_out import hooked
from mmcache_demos.transformers.subjects import Subject

Held = Callable[[], int]
"""The bytes of the tensors that a cache keeps alive at this moment."""


@contextmanager
def by_hooks(subject: Subject, pipe: Any, apply: Callable[[Any], None]) -> Iterator[Held]:
    """A cache, put on by `apply`."""
    apply(pipe.transformer)
    if not subject.contexts:
        _set_cache_context(pipe.transformer, CacheContext("all in one batch"))
    stored: Any = stores_of(pipe.transformer)  # in place of a session
    yield lambda: bytes_reachable(stored)


def stores_of(model: Any) -> list[Any]:
    """Where the hooks of a model keep what they cache."""
    registry = HookRegistry.check_if_exists_or_initialize(model)
    hooks = [hook for child in (registry, *registry._get_child_registries()) for hook in child.hooks.values()]
    kinds = (StateManager, PyramidAttentionBroadcastState)
    stores = {id(store): store for hook in hooks for store in vars(hook).values() if isinstance(store, kinds)}
    return list(stores.values())


def by_first_block(subject: Subject, pipe: Any, threshold: float) -> AbstractContextManager[Held]:
    return by_hooks(
        subject, pipe, lambda model: apply_first_block_cache(model, FirstBlockCacheConfig(threshold))
    )


def by_taylorseer(*, lite: bool) -> Callable[[Subject, Any, Any], AbstractContextManager[Held]]:
    """Order 1, in the model's own precision; the setting is (interval, steps in full before the first)."""

    def enabled(subject: Subject, pipe: Any, setting: tuple[int, int]) -> AbstractContextManager[Held]:
        interval, before = setting
        config = TaylorSeerCacheConfig(
            cache_interval=interval,
            disable_cache_before_step=before,
            max_order=1,
            taylor_factors_dtype=torch.float32,
            use_lite_mode=lite,
            cache_identifiers=None if lite else list(subject.extrapolated),
        )
        return by_hooks(subject, pipe, lambda model: apply_taylorseer_cache(model, config))

    return enabled


@functools.cache
def magnitudes(subject: Subject) -> tuple[float, ...]:
    """By how much each step's residual is longer than that of the step before, as MagCache calibrates it.

    It is measured on the very runs that judge, which is in its favour.
    """
    # One step more than there are: the hook forgets its ratios at the last one, and a pipeline at its end.
    config = MagCacheConfig(calibrate=True, num_inference_steps=subject.steps + 1)
    pipe, ratios = subject.make(), dict[int, list[float]]()

    def keep(*_: Any) -> None:
        for store in stores_of(pipe.transformer):
            ratios.update((id(state), state.calibration_ratios) for state in store._state_cache.values())

    with (
        by_hooks(subject, pipe, lambda model: apply_mag_cache(model, config)),
        hooked([pipe.transformer.register_forward_hook(keep)]),
    ):
        subject.draw(pipe)
    return tuple(torch.tensor(list(ratios.values())).mean(0).tolist())


def by_mag_cache(subject: Subject, pipe: Any, threshold: float) -> AbstractContextManager[Held]:
    """The first step is full; the threshold alone says how many may be skipped in a row."""
    config = MagCacheConfig(
        threshold=threshold,
        max_skip_steps=subject.steps,
        retention_ratio=1 / subject.steps,
        num_inference_steps=subject.steps,
        mag_ratios=list(magnitudes(subject)),
    )
    return by_hooks(subject, pipe, lambda model: apply_mag_cache(model, config))


def by_attention_broadcast(subject: Subject, pipe: Any, interval: int) -> AbstractContextManager[Held]:
    """All attention of every step but each `interval`-th is that of the step before.

    Raises:
        ValueError: a step calls the denoiser twice, which its hooks take for two steps.
    """
    if subject.calls > 1:
        raise ValueError("its hooks take the calls of one step for steps")
    within = (100, 800)
    config = PyramidAttentionBroadcastConfig(
        spatial_attention_block_skip_range=interval,
        cross_attention_block_skip_range=interval,
        spatial_attention_timestep_skip_range=within,
        cross_attention_timestep_skip_range=within,
        current_timestep_callback=lambda: sum(within) // 2,  # every time is within
    )
    return by_hooks(subject, pipe, lambda model: apply_pyramid_attention_broadcast(model, config))
