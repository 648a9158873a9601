"""Text of files that somebody names: a path can lead to an endless pipe, or to a disk full of zeros."""

import os
import stat
from pathlib import Path


def read_regular(path: Path, most_bytes: int) -> str:
    """The text of a regular file of bounded size; a pipe or a device is not waited for.

    Args:
        path: of the file, or of a link to it.
        most_bytes: that are read; a larger file is refused.

    Raises:
        ValueError: why it cannot be read, without the path.
        FileNotFoundError: it is not there.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:  # a name with a null byte is a ValueError
        raise ValueError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("cannot be read, since it is no regular file")
        with os.fdopen(handle, "rb", closefd=False) as opened:
            content = opened.read(most_bytes + 1)
    except OSError as error:
        raise ValueError(f"cannot be read ({error.strerror})") from None
    finally:
        os.close(handle)
    if len(content) > most_bytes:
        raise ValueError(f"cannot be read, since it has more than {most_bytes // 1024} KiB")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("cannot be read, since it is no text in UTF-8") from None
