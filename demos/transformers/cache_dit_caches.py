"""cache-dit's caches (pip install --no-deps cache-dit), with its forecasts and its masks."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from mmcache.testing.probes import bytes_reachable
from mmcache_demos.transformers.diffusers_caches import Held
from mmcache_demos.transformers.subjects import Subject

OWN_MASKS = ("slow", "medium", "fast", "ultra")
NEVER = 1e9  # a threshold that no change reaches


def by_cache_dit(
    forecast: str = "", mask: Callable[[Any, int], Sequence[int]] | None = None
) -> Callable[[Subject, Any, Any], AbstractContextManager[Held]]:
    """Its dual block cache with the first and the last block computed, as mmcache does at branch 0.

    Args:
        forecast: "taylorseer" (of order 1), "dmd" or "foca"; "" holds.
        mask: from the setting and the number of steps to 1 for each full step and 0 for each cached one.
            Without it the setting is the threshold of the residual's change, with one step of warm-up.
    """

    @contextmanager
    def enabled(subject: Subject, pipe: Any, setting: Any) -> Iterator[Held]:
        os.environ.setdefault("CACHE_DIT_LOG_LEVEL", "error")  # it tells of every step of enabling
        import cache_dit

        config = cache_dit.DBCacheConfig(
            Fn_compute_blocks=1,
            Bn_compute_blocks=1,
            max_warmup_steps=1,
            num_inference_steps=subject.steps,
            residual_diff_threshold=NEVER if mask else setting,
            steps_computation_mask=list(mask(setting, subject.steps)) if mask else None,
            steps_computation_policy="static" if mask else "dynamic",
        )
        forecasts = {
            "taylorseer": cache_dit.TaylorSeerCalibratorConfig(taylorseer_order=1),
            "dmd": cache_dit.DMDCalibratorConfig(),
            "foca": cache_dit.FoCaCalibratorConfig(),
        }
        cache_dit.enable_cache(pipe, cache_config=config, calibrator_config=forecasts.get(forecast))
        try:
            yield lambda: bytes_reachable(pipe._context_manager)
        finally:
            cache_dit.disable_cache(pipe)

    return enabled


def every(interval: int, steps: int) -> list[int]:
    """A full step at every so many."""
    return [int(step % interval == 0) for step in range(steps)]


def own_mask(name: str, steps: int) -> list[int]:
    """One of `OWN_MASKS`, stretched to the run as cache-dit does it."""
    import cache_dit

    return cache_dit.steps_mask(mask_policy=name, total_steps=steps)


def full_steps_of_own_mask(name: str, steps: int) -> int:
    return sum(own_mask(name, steps))
