"""Work in a thread of its own, whose news arrive one after another as they come."""

import queue
import threading
import time
from collections.abc import Callable, Generator, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

PAUSE = 0.15  # seconds between two news: showing them takes time from the work itself

News = TypeVar("News")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Done(Generic[Result]):
    """The last of the news: what the work has returned."""

    result: Result


@dataclass(frozen=True)
class _Failed:
    error: BaseException


def news_of(
    work: Callable[[Callable[[News], None]], Result],
    stop: threading.Event,
    about: Callable[[Any], Hashable] = lambda news: None,
) -> Generator[News | Done[Result], None, None]:
    """The news of some work, the newest of each kind within a moment, and then its result.

    Args:
        work: is given what it tells its news to.
        about: what a piece of news is about; newer ones about the same take its place.
        stop: is set if nobody waits for the news any more; then the work has ended when this has.

    Raises:
        Whatever the work raises.
    """
    told: queue.SimpleQueue[News | Done[Result] | _Failed] = queue.SimpleQueue()

    def run() -> None:
        try:
            told.put(Done(work(told.put)))
        except BaseException as error:  # raised again where the news are waited for
            told.put(_Failed(error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        again = 0.0
        while True:
            waiting: dict[Hashable, News] = {}
            last: News | Done[Result] | _Failed = told.get()
            while not isinstance(last, Done | _Failed):
                waiting[about(last)] = last
                try:
                    last = told.get(timeout=max(0.0, again - time.monotonic()))
                except queue.Empty:
                    break
            yield from waiting.values()
            if isinstance(last, _Failed):
                raise last.error
            if isinstance(last, Done):
                yield last
                return
            again = time.monotonic() + PAUSE
    finally:
        stop.set()
        thread.join()
