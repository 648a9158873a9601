"""Two runs that share one processor step by step: both images grow at once, each run has its own clock."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmcache.tools.running.denoiser_timer import DenoiserTimer
from mmcache.tools.running.macs_counter import CallCounter


class Turns:
    """Whose turn it is: always the run that has had the least time; the others wait.

    Args:
        names: of the runs, the first begins.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._spent = dict.fromkeys(names, 0.0)
        self._turn = names[0]
        self._changed = threading.Condition()

    def wait(self, name: str) -> None:
        """Return when it is this run's turn."""
        with self._changed:
            self._changed.wait_for(lambda: self._turn == name)

    def pass_on(self, name: str, seconds: float) -> None:
        """Give the turn to whoever has had the least, and wait for the next one.

        Args:
            seconds: that this run has had so far.
        """
        with self._changed:
            self._spent[name] = seconds
            self._give()
        self.wait(name)

    def leave(self, name: str) -> None:
        """This run is over."""
        with self._changed:
            self._spent.pop(name, None)
            self._give()

    def _give(self) -> None:
        if self._spent:
            self._turn = min(self._spent, key=self._spent.__getitem__)
            self._changed.notify_all()


@dataclass
class Lap:
    """What one run has taken of the things that both share, measured while it is its turn.

    Attributes:
        timer, counters: of the modules that both runs call.
        seconds: wall time.
        denoiser_seconds: the part of it that the denoisers took.
        calls: of each counter.
    """

    timer: DenoiserTimer
    counters: Mapping[str, CallCounter]
    seconds: float = 0.0
    denoiser_seconds: float = 0.0
    calls: dict[str, Counter[Hashable]] = field(default_factory=dict)
    _since: float = 0.0

    def go_on(self) -> None:
        """The run has the turn."""
        self._since = time.perf_counter()

    def pause(self) -> None:
        """The run gives the turn away; on a GPU it waits until the work so far is done."""
        self.denoiser_seconds += self.timer.take()
        self.seconds += time.perf_counter() - self._since
        for name, counter in self.counters.items():
            self.calls.setdefault(name, Counter()).update(counter.calls)
            counter.calls.clear()

    def put_back_calls(self) -> None:
        """Let the counters say what this run has called."""
        for name, counter in self.counters.items():
            counter.calls.clear()
            counter.calls.update(self.calls.get(name, Counter()))


def side_by_side(runs: Mapping[str, Callable[[], Any]], failed: threading.Event) -> dict[str, Any]:
    """Run all of them, each in a thread of its own.

    Args:
        runs: by name.
        failed: is set when one of them fails, so that the others can end.

    Returns:
        What they return, by name.

    Raises:
        Whatever the first that failed raised.
    """
    results: dict[str, Any] = {}
    errors: list[BaseException] = []

    def run(name: str) -> None:
        try:
            results[name] = runs[name]()
        except BaseException as error:  # raised again in the thread that waits
            errors.append(error)
            failed.set()

    threads = [threading.Thread(target=run, args=(name,), daemon=True) for name in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results
