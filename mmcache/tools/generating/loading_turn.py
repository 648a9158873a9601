"""Workers of one machine load their model one after another, and only the first may ask the network."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

OFFLINE = "HF_HUB_OFFLINE"


@contextmanager
def loading_turn(run: str) -> Iterator[bool]:
    """Wait until no other worker of this run loads on this machine.

    The lock goes with the process that holds it, however that ends.

    Args:
        run: names the run; the workers of one run have the same.

    Yields:
        Whether a worker of this run has already loaded here, so that everything is on the disk.
    """
    try:
        import fcntl
    except ImportError:  # another system: all at once, each asks the network
        yield False
        return
    path = Path(tempfile.gettempdir(), f"mmcache-load-{run}")
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        loaded_before = path.stat().st_size > 0
        yield loaded_before
        file.write(b"loaded\n")


def forget_turns(run: str) -> None:
    """Remove what `loading_turn` left on this machine."""
    Path(tempfile.gettempdir(), f"mmcache-load-{run}").unlink(missing_ok=True)


@contextmanager
def offline(wanted: bool) -> Iterator[None]:
    """Let libraries of the Hugging Face hub read only what is on the disk, within the block."""
    if not wanted:
        yield
        return
    before = os.environ.get(OFFLINE)
    os.environ[OFFLINE] = "1"
    # It reads the variable only once, and may have been imported.
    constants = sys.modules.get("huggingface_hub.constants")
    known = getattr(constants, OFFLINE, None)
    if constants is not None:
        setattr(constants, OFFLINE, True)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(OFFLINE, None)
        else:
            os.environ[OFFLINE] = before
        constants = sys.modules.get("huggingface_hub.constants")
        if constants is not None:
            setattr(constants, OFFLINE, bool(known) if known is not None else False)
