"""One process at a time works in a folder; another is told so at once."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK = ".mmcache.lock"


@contextmanager
def only_one(folder: Path, what: str) -> Iterator[None]:
    """Keep others out of a folder within the block; a killed process does not stand in the way.

    Args:
        folder: is made if it is missing.
        what: the work, for the message: sweep.

    Raises:
        ValueError: another process has it.
    """
    from filelock import FileLock, Timeout  # comes with torch

    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"{folder}: another {what} is at work in it: wait until it ends, or take another --out"
        ) from None
    try:
        yield
    finally:
        (folder / LOCK).unlink(missing_ok=True)  # while nobody else can have it
        lock.release()
        if made:
            with suppress(OSError):  # something is in it
                folder.rmdir()
