"""What each call of a run did: what of the model ran, what it took, what is held behind it."""

import functools
from dataclasses import asdict, dataclass
from typing import Any

from mmcache.engine.call_macs import MacsOf
from mmcache.engine.record import CallRecord
from mmcache.plans.branch import NOTHING, branch_name


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


def steps_of(
    calls: list[CallRecord], macs_of: MacsOf, smaller: type[Branch] | type[Residuals] = Branch
) -> tuple[Step, ...]:
    """The records of a run with their multiply-adds; `smaller` is what ran where not all did."""
    macs_of = functools.cache(macs_of)  # to tell whether a figure still holds, the whole model is looked at
    for call in calls:
        if call.branch is not None:  # first, since counting a cached call finds what a full one takes
            macs_of(call.signature, call.branch)
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
