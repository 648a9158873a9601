"""What the driver says while it works: one line on a terminal, or events for programs."""

import json
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

MOST_WORKERS = 8  # that the line lists one by one


class Listener(Protocol):
    """Hears of everything that happens."""

    def __call__(self, event: str, **about: Any) -> None: ...


def events_as_json(event: str, **about: Any) -> None:
    """Write an event as a line of JSON."""
    print(json.dumps({"event": event, **about}, default=str), flush=True)


class ProgressLine:
    """One line on a terminal: done, failed, images a second, time left and each worker's count."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._failures = 0
        self._by_worker: Counter[int] = Counter()
        self._told: set[str] = set()

    def __call__(self, event: str, **about: Any) -> None:
        tell: Callable[..., None] | None = getattr(self, f"_{event}", None)
        if tell is not None:
            tell(**about)

    def _start(self, total: int, done: int, **about: Any) -> None:
        from tqdm.auto import tqdm

        self._bar = tqdm(total=total, initial=done, unit="img", disable=None, dynamic_ncols=True)

    def _done(self, worker: int, **about: Any) -> None:
        self._by_worker[worker] += 1
        self._show(1)

    def _found(self, **about: Any) -> None:
        self._show(1)

    def _show(self, more: int) -> None:
        if self._bar is None or self._bar.disable:
            return
        counts = sorted(self._by_worker.items())
        if len(counts) > MOST_WORKERS:
            values = [count for _, count in counts]
            workers = f"{len(values)} workers, {min(values)} to {max(values)} each"
        else:
            workers = " ".join(f"{worker}:{count}" for worker, count in counts)
        self._bar.set_postfix_str(f"{self._failures} failed, workers {workers}", refresh=False)
        self._bar.update(more)

    def _failed(self, **about: Any) -> None:
        self._failures += 1
        self._show(0)
        self._say(f"failed: line {about.get('line')} ({about.get('id')}): {about.get('reason')}")

    def _worker_died(self, worker: int, reason: str, retired: bool) -> None:
        end = "it is not started again" if retired else "another one takes its place"
        self._say(f"worker {worker}: {reason}; {end}")

    def _note(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._say(f"note: {text}", always=True)

    def _end(self, **about: Any) -> None:
        if self._bar is not None:
            self._bar.close()

    def _say(self, text: str, always: bool = False) -> None:
        """A line above the progress line; without one only what is always said."""
        if self._bar is not None and not self._bar.disable:
            self._bar.write(text, file=sys.stderr)
        elif always:
            print(text, file=sys.stderr)


def silent(event: str, **about: Any) -> None:
    """Says nothing."""
