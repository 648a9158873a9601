"""The ways of caching that are compared, each as data: how it is switched on, and what it can be set to.

Each is given a pipeline of its own class: cache-dit patches the class, and diffusers' hooks stay. Two of
diffusers' caches are left out. SeaCache knows Cosmos only, and FasterCache halves a batch that multiply-adds
are not counted by here.
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any

import mmcache
from mmcache.testing.probes import bytes_reachable
from mmcache_demos.transformers.cache_dit_caches import (
    OWN_MASKS,
    by_cache_dit,
    every,
    full_steps_of_own_mask,
    own_mask,
)
from mmcache_demos.transformers.diffusers_caches import (
    Held,
    by_attention_broadcast,
    by_first_block,
    by_mag_cache,
    by_taylorseer,
)
from mmcache_demos.transformers.easy_cache import by_easy_cache
from mmcache_demos.transformers.published_schedules import dpcache, lemica
from mmcache_demos.transformers.spectrum import GROWTHS, WINDOWS, by_spectrum
from mmcache_demos.transformers.spectrum import full_steps as spectrum_full_steps
from mmcache_demos.transformers.subjects import Subject


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


def even_count(interval: int, steps: int, cost: float) -> list[int]:
    """As many full steps as at every so many."""
    return [-(-steps // interval)]


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
    Method("cache-dit, mask", by_cache_dit(mask=every)),
    Method("cache-dit, mask, TaylorSeer", by_cache_dit("taylorseer", every)),
    Method(
        "cache-dit, its own mask, TaylorSeer",
        by_cache_dit("taylorseer", own_mask),
        lambda interval, steps, cost: OWN_MASKS,
        full_steps_of_own_mask,
    ),
    Method("cache-dit, threshold", by_cache_dit(), threshold=True),
    Method("cache-dit, threshold, TaylorSeer", by_cache_dit("taylorseer"), threshold=True),
    Method("cache-dit, threshold, DMD", by_cache_dit("dmd"), threshold=True),
    Method("cache-dit, threshold, FoCa", by_cache_dit("foca"), threshold=True),
    Method("diffusers FirstBlockCache", by_first_block, threshold=True),
    Method("diffusers TaylorSeer", by_taylorseer(lite=False), around, taylorseer_full_steps),
    Method("diffusers TaylorSeer, lite", by_taylorseer(lite=True), around, taylorseer_full_steps),
    Method("diffusers MagCache", by_mag_cache, threshold=True),
    Method(
        "diffusers Pyramid Attention Broadcast",
        by_attention_broadcast,
        lambda interval, steps, cost: range(2, steps),
    ),
    Method("EasyCache, by its equations", by_easy_cache, threshold=True),
    Method(
        "Spectrum, by its equations",
        by_spectrum,
        lambda interval, steps, cost: list(product(WINDOWS, GROWTHS)),
        lambda setting, steps: len(spectrum_full_steps(setting, steps)),
    ),
    Method("schedule as LeMiCa's, held", by_plan(lemica), even_count),
    Method("schedule as DPCache's, extrapolated", by_plan(dpcache), even_count),
)
