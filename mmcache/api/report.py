"""What a sampling run did: full and cached steps, multiply-adds, seconds, bytes."""

import functools
from collections.abc import Callable, Hashable
from dataclasses import asdict, dataclass
from typing import Any

from mmcache.engine.record import CallRecord
from mmcache.plans.branch import NOTHING, branch_name

MacsOf = Callable[[Hashable, int | None], int | None]
"""Multiply-adds of a call with this signature at this branch (None: full); None if not known."""


@dataclass(frozen=True)
class Full:
    """The whole model ran."""

    def __str__(self) -> str:
        return "full"


@dataclass(frozen=True)
class Branch:
    """The skip branch of this number ran."""

    number: int

    def __str__(self) -> str:
        return f"branch {self.number}"


@dataclass(frozen=True)
class Nothing:
    """No layer ran: the output was forecast."""

    number: int = NOTHING

    def __str__(self) -> str:
        return "nothing"


@dataclass(frozen=True)
class Residuals:
    """A side network computed its first so many residuals."""

    number: int

    def __str__(self) -> str:
        return f"residuals {self.number}"


@dataclass(frozen=True)
class Step:
    """One denoiser call: a step, or a lane of it where a step has several calls.

    Attributes:
        step: 0-based.
        lane: which call of the step.
        time: the sampler's timestep.
        ran: what of the model ran.
        cache_miss: full only because no kept feature fitted (another batch size, a new lane).
        macs: multiply-adds; None where they cannot be counted.
        full_macs: what the whole denoiser would have taken.
        seconds: wall time of the call.
        bytes_held: bytes of all kept features after the call.
    """

    step: int
    lane: int
    time: float
    ran: Full | Branch | Nothing | Residuals
    cache_miss: bool
    macs: int | None
    full_macs: int | None
    seconds: float
    bytes_held: int

    @property
    def branch(self) -> int | None:
        """The number of the branch (`NOTHING` where no layer ran), or of residuals; None for a full call."""
        return None if isinstance(self.ran, Full) else self.ran.number

    def as_dict(self) -> dict[str, Any]:
        """For JSON; `ran` by its number, as `branch`."""
        return asdict(self) | {"ran": str(self.ran), "branch": branch_name(self.branch)}


@dataclass(frozen=True)
class DenoiserReport:
    """What was done for one denoiser (or side network) in the last run."""

    name: str
    adapter: str
    plan: str
    steps: tuple[Step, ...]

    @property
    def full_steps(self) -> int:
        """Calls that ran the whole denoiser."""
        return sum(step.branch is None for step in self.steps)

    @property
    def cached_steps(self) -> int:
        """Calls that ran less than the whole denoiser."""
        return len(self.steps) - self.full_steps

    @property
    def seconds(self) -> float:
        """Wall time of all calls."""
        return sum(step.seconds for step in self.steps)

    @property
    def macs(self) -> int | None:
        """Multiply-adds of the run; None where they cannot be counted."""
        return sum_or_none([step.macs for step in self.steps])

    @property
    def full_macs(self) -> int | None:
        """What the run would have taken without caching."""
        return sum_or_none([step.full_macs for step in self.steps])

    @property
    def bytes_held(self) -> int:
        """The most that was held at any time of the run."""
        return max((step.bytes_held for step in self.steps), default=0)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        sums = ("full_steps", "cached_steps", "seconds", "macs", "full_macs", "bytes_held")
        steps = {"steps": [step.as_dict() for step in self.steps]}
        return asdict(self) | steps | {name: getattr(self, name) for name in sums}

    def __str__(self) -> str:
        if not self.steps:
            return f"{self.name} ({self.adapter}): {self.plan}. No run yet."
        saved = ""
        if self.macs and self.full_macs:
            ratio = self.full_macs / self.macs
            saved = f", {format_macs(self.macs)} of {format_macs(self.full_macs)} MACs ({ratio:.2f}x fewer)"
        lines = [
            f"{self.name} ({self.adapter}): {self.plan}",
            f"  {self.full_steps} full and {self.cached_steps} cached calls{saved}, {self.seconds:.2f} s, "
            f"at most {format_bytes(self.bytes_held)} held",
            "  step lane     time  ran              MACs   seconds      held",
        ]
        for step in self.steps:
            ran = f"{step.ran} (no fitting feature)" if step.cache_miss else str(step.ran)
            macs = "?" if step.macs is None else format_macs(step.macs)
            lines.append(
                f"  {step.step:4d} {step.lane:4d} {step.time:8.1f}  {ran:13s} {macs:>9s} "
                f"{step.seconds:8.4f} s {format_bytes(step.bytes_held):>9s}"
            )
        return "\n".join(lines)


@dataclass(frozen=True)
class Report:
    """The last run of a session: a part for each denoiser and side network, and what there is to say."""

    denoisers: tuple[DenoiserReport, ...]
    notes: tuple[str, ...] = ()
    side_networks: tuple[DenoiserReport, ...] = ()

    @property
    def parts(self) -> tuple[DenoiserReport, ...]:
        """Denoisers and side networks."""
        return (*self.denoisers, *self.side_networks)

    @property
    def macs(self) -> int | None:
        """Multiply-adds of all denoisers and side networks; None where they cannot be counted."""
        return sum_or_none([part.macs for part in self.parts])

    @property
    def full_macs(self) -> int | None:
        """What the run would have taken without caching."""
        return sum_or_none([part.full_macs for part in self.parts])

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "denoisers": [part.as_dict() for part in self.denoisers],
            "side_networks": [part.as_dict() for part in self.side_networks],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        return "\n".join([*map(str, self.parts), *(f"note: {note}" for note in self.notes)])


def steps_of(
    calls: list[CallRecord], macs_of: MacsOf, smaller: type[Branch] | type[Residuals] = Branch
) -> tuple[Step, ...]:
    """The records of a run with their multiply-adds; `smaller` is what ran where not all did."""
    macs_of = functools.cache(macs_of)  # to tell whether a figure still holds, the whole model is looked at
    return tuple(
        Step(
            step=call.clock.step,
            lane=call.lane,
            time=call.clock.time,
            ran=what_ran(call.branch, smaller),
            cache_miss=call.cache_miss,
            macs=macs_of(call.signature, call.branch),
            full_macs=0 if call.again else macs_of(call.signature, None),
            seconds=call.seconds,
            bytes_held=call.bytes_held,
        )
        for call in calls
    )


def what_ran(
    branch: int | None, smaller: type[Branch] | type[Residuals]
) -> Full | Branch | Nothing | Residuals:
    """In words and a number, from the branch of a record."""
    if branch is None:
        return Full()
    return Nothing() if branch == NOTHING else smaller(branch)


def sum_or_none(values: list[int | None]) -> int | None:
    return None if None in values else sum(value for value in values if value is not None)


def format_macs(macs: int) -> str:
    """338.83G, 1.24T, 5.1M: three or four digits that mean something."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6)):
        if macs >= size:
            return f"{macs / size:.2f}{unit}"
    return str(macs)


def format_bytes(count: int) -> str:
    """Bytes as people read them: 5.0 MiB, 64.0 KiB."""
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count} B"
