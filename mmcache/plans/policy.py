"""When: which steps run in full.

A policy is a frozen setting, checked when it is made. It answers for one step at a time and remembers
nothing; what `Adaptive` looks at is measured by the caching scheduler and handed in.
"""

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Protocol

from mmcache.clocks.clock import StepClock
from mmcache.errors import shown
from mmcache.plans.values import Each, Real, Whole, check_fields

Interval = Annotated[int, Whole(1, meaning="1 computes every step")]


class SinceFull(Protocol):
    """What happened since the last full step.

    Attributes:
        steps: how many steps ago it was.
    """

    steps: int

    def change(self) -> float:
        """How much the denoiser's input and output have changed, relative to their size.

        A call, because only a policy that asks pays for the answer.
        """


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Which steps are full. The first step always is: there is nothing to reuse.

    Attributes:
        warmup: so many steps at the start are full.
        cooldown: so many steps at the end are full; needs to know how many steps there are.
    """

    warmup: Annotated[int, Whole(1, meaning="the first step has nothing to reuse")] = field(default=1)
    cooldown: Annotated[int, Whole(0)] = field(default=0)

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def needs_total(self) -> bool:
        """Whether the policy works only where the number of steps is known beforehand."""
        return self.cooldown > 0

    @property
    def needs_change(self) -> bool:
        """Whether the policy asks how much the denoiser has changed."""
        return False

    def is_full(self, clock: StepClock, since: SinceFull) -> bool:
        """Whether this step runs in full."""
        if clock.step < self.warmup:
            return True
        if clock.total is not None and clock.step >= clock.total - self.cooldown:
            return True
        return self.chooses_full(clock, since)

    def chooses_full(self, clock: StepClock, since: SinceFull) -> bool:
        """The policy's own choice for a step between warm-up and cool-down."""
        raise NotImplementedError


@dataclass(frozen=True)
class Uniform(Policy):
    """Every `interval`-th step is full: DeepCache's 1:N (arXiv 2312.00858, section 3.2).

    The count begins at the last warm-up step. `Uniform(1)` computes every step.
    """

    interval: Interval

    def chooses_full(self, clock: StepClock, since: SinceFull) -> bool:
        return (clock.step - (self.warmup - 1)) % self.interval == 0


@functools.lru_cache
def nonuniform_steps(total: int, interval: int, center: int, power: float) -> frozenset[int]:
    """The full steps of DeepCache's non-uniform 1:N strategy (arXiv 2312.00858, section 3.3).

    With k = ceil(total / interval) full steps, l_0..l_k evenly spaced between (-c)^(1/p) and
    (T - c)^(1/p), the full steps are 0 and the distinct integers of l_i^p + c. For c > 0 the first root
    is complex; the published code interpolates in the complex plane and takes the real part of the
    power, towards zero, and where integers coincide it lowers p by 0.02 until k distinct ones are left.
    That is what is done here, so that the published settings mean the same steps. It stops at p = 1,
    which is uniform spacing, where the published code gives up.
    """
    import numpy as np  # here, so that plans are listed without it

    wanted = math.ceil(total / interval)
    if wanted == total:
        return frozenset(range(total))
    while True:
        start, end = complex(-center) ** (1 / power), complex(total - center) ** (1 / power)
        real = np.trunc((np.linspace(start, end, wanted + 1) ** power).real).astype(int)
        steps = {0, *(int(step) + center for step in np.unique(real)[1:-1])}
        if len(steps) == wanted or power <= 1:
            break
        power = max(1.0, power - 0.02)
    return frozenset(step for step in steps if 0 <= step < total)


@dataclass(frozen=True)
class NonUniform(Policy):
    """As many full steps as `Uniform(interval)`, closest together around step `center`.

    DeepCache's non-uniform 1:N strategy; `nonuniform_steps` states the formula. `center` and `power` are
    the paper's c and p: for Stable Diffusion at 50 steps 15 and 1.5, 1.3, 1.4 at N = 2, 3, 4 (appendix);
    for LDM-4-G at 250 steps 120 and 1.2.
    """

    interval: Interval
    center: Annotated[int, Whole(0)] = 15
    # Published settings are between 1.1 and 1.6. Beyond these bounds the formula overflows or takes minutes.
    power: Annotated[float, Real(0.05, 20)] = 1.4

    @property
    def needs_total(self) -> bool:
        return True

    def chooses_full(self, clock: StepClock, since: SinceFull) -> bool:
        if clock.total is None:
            raise ValueError("NonUniform needs to know the number of steps")
        return clock.step in nonuniform_steps(clock.total, self.interval, self.center, float(self.power))


@dataclass(frozen=True)
class StepMask(Policy):
    """The full steps, named one by one: `StepMask([0, 1, 5, 12])`, 0-based.

    Every other step is cached, also beyond the last one named.
    """

    full: Annotated[
        Iterable[int], Each(Whole(0), least=1, also={"contains": {"const": 0}, "uniqueItems": True})
    ]

    def __post_init__(self) -> None:
        if not isinstance(self.full, Iterable) or isinstance(self.full, str):
            raise ValueError(
                f"StepMask({shown(self.full)}): wanted the full steps one by one, such as [0, 4, 9]"
            )
        steps = tuple(self.full)
        if not steps:
            raise ValueError("StepMask([]): names no full step; the first step (0) at least must be full")
        object.__setattr__(self, "full", steps)
        super().__post_init__()
        if 0 not in steps:
            raise ValueError(
                f"StepMask({shown([*steps])}): step 0 must be among the full steps, it has nothing to reuse"
            )
        if len(set(steps)) < len(steps):
            raise ValueError(f"StepMask({shown([*steps])}): names a step twice")
        object.__setattr__(self, "full", tuple(sorted(steps)))

    def chooses_full(self, clock: StepClock, since: SinceFull) -> bool:
        return clock.step in self.full


@dataclass(frozen=True)
class Adaptive(Policy):
    """A step is full when the denoiser has changed by more than `threshold` since the last full step.

    Decided before the call, without an extra forward, from the larger of two relative changes (L2 norm of
    the difference over the norm): of the input, now against the last full step, and of the output, the
    last one against that of the last full step. Asking reads one number from the device per step.

    Attributes:
        threshold: 0.1 means a tenth of the norm.
        longest: at most so many cached steps in a row; None for no limit.
    """

    threshold: Annotated[float, Real(0, 1e6)]
    longest: Annotated[int | None, Whole(1, or_none=True)] = None

    @property
    def needs_change(self) -> bool:
        return True

    def chooses_full(self, clock: StepClock, since: SinceFull) -> bool:
        too_long = self.longest is not None and since.steps > self.longest
        return too_long or since.change() > self.threshold
