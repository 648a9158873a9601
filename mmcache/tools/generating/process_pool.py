"""Workers as processes of this machine, each with a pipe of its own."""

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

from mmcache.tools.generating.outcomes import Batch, Died, Event, Finished, Job, Outcome, Ready

READY, FINISHED, DIED = "ready", "finished", "died"


class Worker(NamedTuple):
    """A process and the driver's end of its pipe."""

    process: Any
    pipe: Connection


class ProcessPool:
    """Starts each worker anew (spawn), so that none inherits a device or a lock.

    Args:
        job: what workers do.
        environment: environment variables of the worker in a slot, set before it imports anything.
    """

    def __init__(self, job: Job, environment: Callable[[int], Mapping[str, str]] = lambda slot: {}) -> None:
        try:
            self._job = pickle.dumps(job)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise TypeError(
                f"what workers load cannot be sent to them ({error}): give a function at the top level of a "
                f"module as load, and only plain values beside it"
            ) from None
        self._environment = environment
        self._context = multiprocessing.get_context("spawn")
        self._workers: dict[int, Worker] = {}

    def start(self, slot: int) -> None:
        ours, theirs = self._context.Pipe()
        arguments = (theirs, self._job, dict(self._environment(slot)))
        process = self._context.Process(target=work, args=arguments, name=f"mmcache-{slot}", daemon=True)
        process.start()
        theirs.close()  # so that the pipe ends with the process
        self._workers[slot] = Worker(process, ours)

    def send(self, slot: int, batches: Sequence[Batch]) -> None:
        with suppress(OSError, KeyError):  # it is gone: its death is about to be told
            self._workers[slot].pipe.send(list(batches))

    def events(self, timeout: float) -> Sequence[Event]:
        pipes = {worker.pipe: slot for slot, worker in self._workers.items()}
        return [self._read(pipes[pipe], pipe) for pipe in wait(list(pipes), timeout)]  # type: ignore[index, arg-type]

    def _read(self, slot: int, pipe: Any) -> Event:
        try:
            kind, content = pipe.recv()
        except Exception:  # the end of the pipe, or half a message of a process that was killed
            return self._bury(slot, "")
        if kind == READY:
            return Ready(slot)
        if kind == FINISHED:
            return Finished(slot, content)
        return self._bury(slot, *content)

    def _bury(self, slot: int, reason: str, fatal: BaseException | None = None) -> Died:
        process, pipe = self._workers.pop(slot)
        pipe.close()
        process.join(1)
        if process.is_alive():
            process.kill()
            process.join()
        return Died(slot, reason or ending(process.exitcode), fatal=fatal)

    def close(self, grace: float) -> Sequence[Event]:
        for worker in self._workers.values():
            with suppress(OSError):  # it is gone
                worker.pipe.send(None)
        until = time.monotonic() + grace
        last: list[Event] = []
        while self._workers and (left := until - time.monotonic()) > 0:
            last += self.events(left)
        for process, pipe in self._workers.values():
            process.kill()
            process.join()
            pipe.close()
        self._workers.clear()
        return [event for event in last if isinstance(event, Finished)]


def ending(code: int | None) -> str:
    """How a process ended, in words."""
    if code is not None and code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return f"its process was killed ({name})" + (", perhaps for memory" if name == "SIGKILL" else "")
    return f"its process ended with exit code {code}"


def work(pipe: Connection, pickled: bytes, environment: Mapping[str, str]) -> None:
    """What a worker's process does: loads once, then message after message, until the driver is gone."""
    os.environ.update(environment)
    for one in (signal.SIGINT, signal.SIGTERM):  # terminals and Slurm send them to all: the driver decides
        signal.signal(one, signal.SIG_IGN)
    threading.Thread(target=end_with_the_driver, daemon=True).start()
    try:
        generate = pickle.loads(pickled).open()
    except Exception as error:
        # Memory and devices may be free elsewhere or later; a missing model is missing for everyone.
        fatal = None if isinstance(error, RuntimeError | MemoryError) else as_picklable(error)
        pipe.send((DIED, (in_words(error), fatal)))
        return
    try:
        pipe.send((READY, None))
        for batches in messages(pipe):
            outcomes: list[Outcome] = []
            for batch in batches:
                outcomes += generate(batch)
            pipe.send((FINISHED, outcomes))
    except Exception as error:
        with suppress(OSError):  # the driver is gone
            pipe.send((DIED, (in_words(error), None)))


def messages(pipe: Connection) -> Iterator[Sequence[Batch]]:
    """The driver's messages, in order; its word to stop goes before those that wait."""
    waiting: deque[Sequence[Batch]] = deque()
    while True:
        while not waiting or pipe.poll():
            try:
                message = pipe.recv()
            except EOFError:
                return
            if message is None:
                return
            waiting.append(message)
        yield waiting.popleft()


def end_with_the_driver() -> None:
    """End this process once its driver is gone: its work would be done by the next driver too."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def in_words(error: BaseException) -> str:
    """The type of an error and the beginning of what it says."""
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words[:300]}" if words else type(error).__name__


def as_picklable(error: Exception) -> Exception:
    """The error itself, if it can cross a pipe; its words otherwise."""
    try:
        pickle.loads(pickle.dumps(error))
        return error
    except Exception:
        traceback.print_exception(error, file=sys.stderr)
        return RuntimeError(in_words(error))
