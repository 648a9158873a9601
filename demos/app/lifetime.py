"""A server's life: the folder that ends with it, folders of servers that were killed, and SIGTERM."""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from typing import Any

PREFIX, ALIVE = "mmcache-demo-", "alive.lock"
FRESH = 60  # seconds: a younger folder without a lock is that of a server which is just beginning


@contextmanager
def own_folder() -> Iterator[Path]:
    """A folder for visitors' files, deleted at the end; folders of dead servers are deleted at the beginning.

    A server holds a lock on a file in its folder, which the system takes away from it however it ends.
    """
    from filelock import FileLock

    sweep_dead()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    lock = FileLock(folder / ALIVE)
    lock.acquire()
    try:
        yield folder
    finally:
        lock.release()
        rmtree(folder, ignore_errors=True)


def sweep_dead() -> None:
    """Delete the folders of servers that ended without doing so themselves (SIGKILL, a power cut)."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # another user's, or just deleted by another server
            if folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == os.getuid():
                delete_if_dead(folder)


def delete_if_dead(folder: Path) -> None:
    """Delete a server's folder if nobody holds its lock.

    Raises:
        OSError: it cannot be looked at.
    """
    from filelock import FileLock, Timeout

    age = time.time() - folder.stat().st_mtime
    if not (folder / ALIVE).exists():
        if age > FRESH:
            rmtree(folder, ignore_errors=True)
        return
    with suppress(Timeout), FileLock(folder / ALIVE, timeout=0):
        rmtree(folder, ignore_errors=True)


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Within the block SIGTERM is like Ctrl-C, so that files are deleted then too.

    It raises KeyboardInterrupt itself: SIGINT may be ignored, as by a shell for what runs in the background.
    Python lets only the main thread say so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
