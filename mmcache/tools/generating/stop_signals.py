"""SIGINT and SIGTERM: the driver is told to stop, and ends its workers itself."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopped(BaseException):
    """A signal asks to stop what this process itself is working on."""


@dataclass
class Stop:
    """What to look at between events.

    Attributes:
        signal: that came; 0 for none.
    """

    signal: int = 0

    @property
    def asked(self) -> bool:
        return self.signal != 0


@contextmanager
def stop_signals(*, at_once: bool) -> Iterator[Stop]:
    """Note the signals that ask to stop, within the block; a second one ends the process as usual.

    One that the process ignores (`nohup`, a shell's background job) stays ignored.

    Args:
        at_once: raise `Stopped` in the midst of what this process does.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # Python gives signals to the main thread alone
        return
    before = {one: handler for one in SIGNALS if (handler := signal.getsignal(one)) is not signal.SIG_IGN}

    def note(number: int, frame: FrameType | None) -> None:
        stop.signal = number
        for one in before:
            signal.signal(one, signal.SIG_DFL)
        if at_once:
            raise Stopped

    for one in before:
        signal.signal(one, note)
    try:
        yield stop
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
