"""The schedule of a run (full or cached, step by step), and its cost in multiply-adds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FULL = None
Schedule = tuple[int | None, ...]
"""For each step the branch of a cached step, or FULL."""


def full_steps(schedule: Schedule) -> list[int]:
    return [step for step, branch in enumerate(schedule) if branch is FULL]


def with_full(total: int, full: list[int], branch: int) -> Schedule:
    """Full at these steps, cached at one branch at all others."""
    chosen = set(full)
    return tuple(FULL if step in chosen else branch for step in range(total))


def sources(schedule: Schedule, times: Sequence[float], memory: int) -> dict[int, list[int]]:
    """For each cached step the steps whose features it reuses, oldest first: those that ran deeper.

    Of steps at one time, which some samplers repeat, the last.

    Args:
        times: the sampler's time at each step.
        memory: at most so many.
    """
    seen: dict[int, dict[float, int]] = {branch: {} for branch in schedule if branch is not FULL}
    found = {}
    for step, ran in enumerate(schedule):
        if ran is not FULL:
            found[step] = list(seen[ran].values())[-memory:]
        for branch, steps in seen.items():
            if ran is FULL or ran > branch:
                steps.pop(times[step], None)
                steps[times[step]] = step
    return found


@dataclass(frozen=True)
class StepCosts:
    """Multiply-adds of one step.

    Attributes:
        full: of a full step.
        cached: of a cached step, by branch.
    """

    full: int
    cached: Mapping[int, int]

    def of(self, schedule: Schedule) -> int:
        """Multiply-adds of a run."""
        return sum(self.full if branch is FULL else self.cached[branch] for branch in schedule)

    def speedup(self, schedule: Schedule) -> float:
        """How many times fewer multiply-adds than with full steps only."""
        return self.full * len(schedule) / self.of(schedule)

    def affordable(self, total: int, speedup: float, branch: int) -> int:
        """How many full steps a run may have that is to take so many times fewer multiply-adds."""
        cached = self.cached[branch]
        count = int((self.full / speedup - cached) * total / (self.full - cached) + 1e-9)
        return min(max(count, 0), total)
