"""Files that somebody names: a path can lead to an endless pipe, or to a disk full of zeros."""

import os
import stat
from pathlib import Path
from typing import BinaryIO


def open_regular(path: Path) -> BinaryIO:
    """A regular file, open to be read; a pipe or a device is not waited for.

    Args:
        path: of the file, or of a link to it.

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
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise ValueError("cannot be read, since it is no regular file")
    return os.fdopen(handle, "rb")


def read_regular(path: Path, most_bytes: int) -> str:
    """The text of a regular file of bounded size.

    Args:
        path: of the file, or of a link to it.
        most_bytes: that are read; a larger file is refused.

    Raises:
        ValueError: why it cannot be read, without the path.
        FileNotFoundError: it is not there.
    """
    with open_regular(path) as opened:
        try:
            content = opened.read(most_bytes + 1)
        except OSError as error:
            raise ValueError(f"cannot be read ({error.strerror})") from None
    if len(content) > most_bytes:
        raise ValueError(f"cannot be read, since it has more than {most_bytes // 1024} KiB")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("cannot be read, since it is no text in UTF-8") from None
