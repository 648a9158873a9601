"""The configurations of a sweep as data: how each changes the pipeline, and its name in tables and plots."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple

from mmcache.api.accelerate import accelerate
from mmcache.plans.branch import branch_words
from mmcache.plans.plan import Plan
from mmcache.plans.policy import Policy
from mmcache.tools.running.macs_counter import counted_denoisers
from mmcache.tools.running.run_progress import full_steps_worth
from mmcache.tools.sweeping.last_output import repeating_last_output

LONGEST = 40  # letters of a setting in a label


class Cost(NamedTuple):
    """What a call of the pipeline cost.

    Attributes:
        full_calls: denoiser calls that ran whole.
        cached_calls: those that ran a skip branch, or nothing.
        macs: multiply-adds of denoisers and side networks; None where they cannot be counted.
        bytes_held: the most that was kept at any time.
        unknown: why `macs` is None; "" where no reason is known.
    """

    full_calls: int
    cached_calls: int
    macs: int | None
    bytes_held: int
    unknown: str = ""

    def and_then(self, other: "Cost") -> "Cost":
        """Of two calls, one after the other."""
        macs = None if self.macs is None or other.macs is None else self.macs + other.macs
        calls = self.full_calls + other.full_calls, self.cached_calls + other.cached_calls
        held = max(self.bytes_held, other.bytes_held)
        return Cost(*calls, macs, held, self.unknown or other.unknown)


@dataclass(frozen=True)
class Configuration:
    """One configuration of a table.

    Attributes:
        kind: what sort of configuration it is, in files.
        steps: sampling steps.
    """

    kind: ClassVar[str]

    steps: int

    @property
    def label(self) -> str:
        """Names this configuration and no other one of a sweep."""
        raise NotImplementedError

    @property
    def series(self) -> str:
        """Lines of one series differ in how much they save, and are joined in plots."""
        return self.kind

    @property
    def interval(self) -> int | None:
        """A full step every so many, on average."""
        return None

    @property
    def full_steps_worth(self) -> float:
        """As many full steps take about as long; for estimates."""
        return self.steps

    def applied(self, pipe: Any) -> AbstractContextManager[Callable[[], Cost]]:
        """Within the block the pipe runs as this configuration says; yields the cost of its last call."""
        return plain(pipe)

    def check(self, pipe: Any) -> None:
        """Refuse what this pipeline cannot do, without sampling.

        Raises:
            ValueError: as `accelerate` raises it.
        """


@dataclass(frozen=True)
class Full(Configuration):
    """Every step in full: what all others are compared with."""

    kind: ClassVar[str] = "full"

    @property
    def label(self) -> str:
        return f"full, {self.steps} steps"


@dataclass(frozen=True)
class FewerSteps(Configuration):
    """The control configuration: as cheap, without a cache."""

    kind: ClassVar[str] = "fewer steps, no cache"

    @property
    def label(self) -> str:
        return f"no cache, {self.steps} steps"


@dataclass(frozen=True)
class Cached(Configuration):
    """A run under a plan."""

    plan: Plan
    kind: ClassVar[str] = "cached"

    @property
    def label(self) -> str:
        branch = branch_words(self.plan.branch)
        if isinstance(self.plan.branch, tuple):
            branch += f" {mark(str(self.plan.branch))}"
        return f"{short(self.plan.policy)}, {short(self.plan.forecast)}, {branch}"

    @property
    def series(self) -> str:
        return ", ".join(self.traits)

    @property
    def traits(self) -> tuple[str, str, str]:
        """Policy without its interval, forecast, branch."""
        return policy_name(self.plan.policy), short(self.plan.forecast), branch_words(self.plan.branch)

    @property
    def interval(self) -> int | None:
        return getattr(self.plan.policy, "interval", None)

    @property
    def full_steps_worth(self) -> float:
        return full_steps_worth(self.plan, self.steps)

    def applied(self, pipe: Any) -> AbstractContextManager[Callable[[], Cost]]:
        return cached(pipe, self.plan)

    def check(self, pipe: Any) -> None:
        self.plan.check_total(self.steps)
        accelerate(pipe, self.plan).restore()


@dataclass(frozen=True)
class RepeatedOutput(Configuration):
    """Full steps as the policy says, and nothing in between but the denoiser's last output again."""

    policy: Policy
    kind: ClassVar[str] = "last output repeated"

    @property
    def label(self) -> str:
        return f"last output repeated, {short(self.policy)}"

    @property
    def interval(self) -> int | None:
        return getattr(self.policy, "interval", None)

    @property
    def full_steps_worth(self) -> float:
        return self.steps / (self.interval or 1)

    def applied(self, pipe: Any) -> AbstractContextManager[Callable[[], Cost]]:
        return repeated(pipe, self.policy)


@contextmanager
def plain(pipe: Any) -> Iterator[Callable[[], Cost]]:
    with counted_denoisers(pipe) as counter:

        def cost() -> Cost:
            calls, macs = counter.take()
            return Cost(calls, 0, macs, 0, counter.unknown)

        yield cost


@contextmanager
def cached(pipe: Any, plan: Plan) -> Iterator[Callable[[], Cost]]:
    with accelerate(pipe, plan) as session:

        def cost() -> Cost:
            report = session.report()
            full = sum(part.full_steps for part in report.denoisers)
            held = sum(part.bytes_held for part in report.parts)
            return Cost(full, sum(part.cached_steps for part in report.denoisers), report.macs, held)

        yield cost


@contextmanager
def repeated(pipe: Any, policy: Policy) -> Iterator[Callable[[], Cost]]:
    # The counter goes inside, since what is placed later is: it sees the calls that the denoiser gets.
    with repeating_last_output(pipe, policy) as placed, counted_denoisers(pipe) as counter:

        def cost() -> Cost:
            calls, macs = counter.take()
            skipped = sum(one.repeated for one in placed)
            for one in placed:
                one.repeated = 0
            return Cost(calls, skipped, macs, 0, counter.unknown)

        yield cost


def short(setting: Any) -> str:
    """Taylor(1), NonUniform(3, 15, 1.3), Uniform(3, warmup=2): as one would write it, in few letters.

    What is calibrated step by step is too long for that, and gets a mark of its own.
    """
    plainly = [getattr(setting, f.name) for f in fields(setting) if f.init and not f.kw_only]
    shown = ", ".join([*(str(value) for value in plainly if value is not None), *changed_keywords(setting)])
    return f"{type(setting).__name__}({shown if len(shown) <= LONGEST else mark(shown)})"


def mark(text: str) -> str:
    """Six letters that tell long settings apart."""
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def changed_keywords(setting: Any) -> list[str]:
    """warmup=2, where it is not what it usually is."""
    keywords = [f for f in fields(setting) if f.kw_only and getattr(setting, f.name) != f.default]
    return [f"{f.name}={getattr(setting, f.name)}" for f in keywords]


def policy_name(policy: Policy) -> str:
    """Of the series that its intervals make: Uniform, or Uniform(warmup=2)."""
    changed = ", ".join(changed_keywords(policy))
    return type(policy).__name__ + (f"({changed})" if changed else "")
