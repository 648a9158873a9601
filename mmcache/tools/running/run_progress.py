"""How many runs there will be, about how long they take, and what is left; on stderr.

A terminal or a notebook gets a bar, anything else a line now and then, since logs are read later.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tqdm.auto import tqdm

from mmcache.clocks.clock import StepClock
from mmcache.plans.plan import Plan
from mmcache.plans.policy import Adaptive

EVERY = 30.0  # seconds between two lines of a log
CACHED_SHARE = 0.2  # of a full step's time: between the cheapest branch of U-Nets and of transformers
ADAPTIVE_SHARE = 0.5  # of the steps are full, where the run itself decides
SHORT, LONG = 2, 4  # steps of the two calls that are timed beforehand


class CallTime(NamedTuple):
    """Seconds of a call of the pipeline with one image: for what it does once, and for each step."""

    once: float
    step: float

    def of(self, images: int, steps: float) -> float:
        return images * (self.once + self.step * steps)


def measure_call(call: Callable[[int], float], steps: int) -> CallTime:
    """Time two short calls, from which longer ones are estimated.

    Args:
        call: samples one image in so many steps; gives the seconds.
        steps: of the runs to come, which the short calls do not exceed.
    """
    short, long = min(SHORT, steps), min(LONG, steps)
    call(short)  # the first call of a pipeline takes longer
    first, second = call(short), call(long)
    if long == short or second <= first:
        return CallTime(0.0, second / long)
    step = (second - first) / (long - short)
    return CallTime(max(0.0, first - short * step), step)


def full_steps_worth(plan: Plan, steps: int) -> float:
    """As many full steps take about as long as a run by this plan."""
    if isinstance(plan.policy, Adaptive):
        full = steps * ADAPTIVE_SHARE
    else:
        full = sum(
            plan.policy.is_full(StepClock(0, step, steps, 0.0), None)  # type: ignore[arg-type]
            for step in range(steps)
        )
    return full + CACHED_SHARE * (steps - full)


def duration(seconds: float) -> str:
    """A length of time as one says it: 40 s, 6 min, 2 h 10 min."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


class RunProgress:
    """Counts runs of unequal length; made by `run_progress`.

    Attributes:
        total: all that will be.
    """

    def __init__(self, title: str, total: int, expected: float, shown: bool) -> None:
        self.title, self.total, self.done = title, total, 0
        self._expected, self._worth, self._started = expected, 0.0, time.monotonic()
        self._said, self._shown = time.monotonic(), shown
        self._bar = (
            tqdm(total=total, desc=title, bar_format="{desc}: {n_fmt} of {total_fmt} runs |{bar}| {postfix}")
            if shown and (sys.stderr.isatty() or "ipykernel" in sys.modules)
            else None
        )
        self._show()

    def finish_run(self, seconds: float = 0.0) -> None:
        """A run is over.

        Args:
            seconds: that it was expected to take; 0 for an equal share of what is expected.
        """
        self.done += 1
        self._worth += seconds or self._expected / max(1, self.total)
        self._show()

    def left(self) -> float:
        """Seconds, by what the runs until now have taken."""
        ahead = max(0.0, self._expected - self._worth)
        if not self.done or not self._worth:
            return ahead
        return ahead * (time.monotonic() - self._started) / self._worth

    def _show(self) -> None:
        text = f"about {duration(self.left())} left" if self.done < self.total else "done"
        if self._bar is not None:
            self._bar.n = min(self.done, self.total)
            self._bar.set_postfix_str(text)
        elif self._shown and self.done and time.monotonic() - self._said >= EVERY:
            self._said = time.monotonic()
            print(f"{self.title}: {self.done} of {self.total} runs, {text}", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


@contextmanager
def run_progress(
    title: str, total: int, expected: float, shown: bool, *, more: str = ""
) -> Iterator[RunProgress]:
    """Say what is to come, then count it.

    Args:
        title: of the tool.
        total: runs.
        expected: seconds of all of them.
        shown: whether anything is said.
        more: about the runs: of 8 images, 3 more are there already.
    """
    if shown:
        print(f"{title}: {total} runs{more}, about {duration(expected)}", file=sys.stderr, flush=True)
    progress = RunProgress(title, total, expected, shown)
    try:
        yield progress
    finally:
        progress.close()
