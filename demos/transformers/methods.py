"""The ways of caching that are compared, each as data: how it is switched on, and what it can be set to.

Each is given a pipeline of its own class: cache-dit patches the class, and diffusers' hooks stay.
"""

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from diffusers import FirstBlockCacheConfig, TaylorSeerCacheConfig
from diffusers.hooks import HookRegistry, apply_first_block_cache, apply_taylorseer_cache
from diffusers.hooks.hooks import CacheContext, StateManager, _set_cache_context

import mmcache
from mmcache.testing.probes import bytes_reachable
from mmcache_demos.transformers.subjects import Subject

Held = Callable[[], int]
"""The bytes of the tensors that a cache keeps alive at this moment."""


@dataclass(frozen=True)
class Method:
    """A way of caching.

    Attributes:
        name: as tables have it.
        enabled: switches it on within the block, for a pipeline of a subject and a setting.
        settings: from an interval, a number of steps, and how many times fewer multiply-adds a full step at
            every so many takes, to what may take as many; of several, the nearest is taken.
        full_steps: how many steps are full under such a setting, of so many.
        threshold: the setting is a number, the larger the cheaper, that is searched for.
    """

    name: str
    enabled: Callable[[Subject, Any, Any], AbstractContextManager[Held]]
    settings: Callable[[int, int, float], Sequence[Any]] = lambda interval, steps, cost: [interval]
    full_steps: Callable[[Any, int], int] = lambda interval, steps: -(-steps // interval)
    threshold: bool = False


def by_plan(
    plan: Callable[[Subject, Any], mmcache.Plan],
) -> Callable[[Subject, Any, Any], AbstractContextManager[Held]]:
    """A plan that is made for the setting."""

    @contextmanager
    def enabled(subject: Subject, pipe: Any, setting: Any) -> Iterator[Held]:
        with mmcache.accelerate(pipe, plan(subject, setting)) as session:
            yield lambda: bytes_reachable(session)

    return enabled


def nothing_runs(subject: Subject, full: int) -> mmcache.Plan:
    """Evenly spaced full steps, so many with the last two, and no layer on the others."""
    steps = subject.steps
    spaced = {round(number * (steps - 3) / max(1, full - 3)) for number in range(full - 2)}
    policy = mmcache.StepMask(sorted({*spaced, steps - 2, steps - 1}))
    return mmcache.Plan(policy, mmcache.Taylor(1, repaid=0.5), "none")


@functools.cache
def calibrated(subject: Subject, cost: float) -> mmcache.Plan:
    """What `mmcache.calibrate` plans for this cost, from eight captions that judge nothing.

    Raises:
        ValueError: the subject has no prompts.
    """
    if not (prompts := subject.calibration()):
        raise ValueError("it has no prompts to calibrate with")
    call = {name: value for name, value in subject.call().items() if name not in ("prompt", "generator")}
    found = mmcache.calibrate(
        subject.make(), prompts, costs=(cost,), steps=subject.steps, batch=len(prompts), **call
    )
    return next(iter(found.plans.values()))


def by_cache_dit(
    *, calibrated: bool, masked: bool
) -> Callable[[Subject, Any, Any], AbstractContextManager[Held]]:
    """Its dual block cache with the first and the last block computed, as mmcache does at branch 0.

    Args:
        calibrated: with TaylorSeer of order 1.
        masked: the setting is an interval, and steps in full are those of a mask; else it is the threshold
            of the residual's change, with one step of warm-up.
    """

    @contextmanager
    def enabled(subject: Subject, pipe: Any, setting: Any) -> Iterator[Held]:
        os.environ.setdefault("CACHE_DIT_LOG_LEVEL", "error")  # it tells of every step of enabling
        import cache_dit  # optional: pip install --no-deps cache-dit

        config = cache_dit.DBCacheConfig(
            Fn_compute_blocks=1,
            Bn_compute_blocks=1,
            max_warmup_steps=1,
            num_inference_steps=subject.steps,
            residual_diff_threshold=1e9 if masked else setting,
            steps_computation_mask=[int(step % setting == 0) for step in range(subject.steps)]
            if masked
            else None,
            steps_computation_policy="static" if masked else "dynamic",
        )
        calibrator = cache_dit.TaylorSeerCalibratorConfig(taylorseer_order=1) if calibrated else None
        cache_dit.enable_cache(pipe, cache_config=config, calibrator_config=calibrator)
        try:
            yield lambda: bytes_reachable(pipe._context_manager)
        finally:
            cache_dit.disable_cache(pipe)

    return enabled


@contextmanager
def by_hooks(subject: Subject, pipe: Any, apply: Callable[[Any], None]) -> Iterator[Held]:
    """A cache of diffusers', put on by `apply`. Nothing takes it off: the pipeline is not used again."""
    apply(pipe.transformer)
    if not subject.contexts:
        _set_cache_context(pipe.transformer, CacheContext("all in one batch"))
    registry = HookRegistry.check_if_exists_or_initialize(pipe.transformer)
    hooks = [hook for child in (registry, *registry._get_child_registries()) for hook in child.hooks.values()]
    stores = {
        id(store): store for hook in hooks for store in vars(hook).values() if isinstance(store, StateManager)
    }
    stored: Any = list(stores.values())  # in place of a session
    yield lambda: bytes_reachable(stored)


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


def around(interval: int, steps: int, cost: float = 0.0) -> list[tuple[int, int]]:
    """TaylorSeer's intervals near this one, each with all numbers of full steps before the first cached."""
    return list(product(range(interval, interval + 5), range(1, steps // 2)))


def taylorseer_full_steps(setting: tuple[int, int], steps: int) -> int:
    """By the rule of diffusers' hook."""
    interval, before = setting
    return sum(step < before or (step - before - 1) % interval == 0 for step in range(steps))


METHODS = (
    Method(
        "mmcache, Hold", by_plan(lambda _, interval: mmcache.Plan(mmcache.Uniform(interval), mmcache.Hold()))
    ),
    Method(
        "mmcache, Taylor(1)",
        by_plan(lambda _, interval: mmcache.Plan(mmcache.Uniform(interval), mmcache.Taylor(1))),
    ),
    Method("mmcache, no layer", by_plan(nothing_runs), lambda interval, steps, cost: [round(steps / cost)]),
    Method("mmcache, calibrated", by_plan(calibrated), lambda interval, steps, cost: [round(cost, 2)]),
    Method("cache-dit, mask", by_cache_dit(calibrated=False, masked=True)),
    Method("cache-dit, mask, TaylorSeer", by_cache_dit(calibrated=True, masked=True)),
    Method("cache-dit, threshold", by_cache_dit(calibrated=False, masked=False), threshold=True),
    Method("cache-dit, threshold, TaylorSeer", by_cache_dit(calibrated=True, masked=False), threshold=True),
    Method("diffusers FirstBlockCache", by_first_block, threshold=True),
    Method("diffusers TaylorSeer", by_taylorseer(lite=False), around, taylorseer_full_steps),
    Method("diffusers TaylorSeer, lite", by_taylorseer(lite=True), around, taylorseer_full_steps),
)
