"""Work in a thread of its own, whose news arrive one after another as they come."""

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

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
    work: Callable[[Callable[[News], None]], Result], stop: threading.Event
) -> Iterator[News | Done[Result]]:
    """The news of some work, the newest where several have come at once, and then its result.

    Args:
        work: is given what it tells its news to.
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
        while True:
            news = told.get()
            while not isinstance(news, Done | _Failed) and not told.empty():
                news = told.get()
            if isinstance(news, _Failed):
                raise news.error
            yield news
            if isinstance(news, Done):
                return
    finally:
        stop.set()
        thread.join()
