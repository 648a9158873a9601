"""A folder for results: found out to be writable before the work, and written whole or not at all."""

import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path


def check_output(folder: Path, names: tuple[str, ...] = ()) -> None:
    """Find out whether `folder` can be made and files be written to it, and leave no trace.

    Args:
        folder: may be missing, with its parents.
        names: the files that will be written; one that is there as a folder is in the way.

    Raises:
        OSError: it cannot; the message says what is in the way.
    """
    for path in (folder, *folder.parents):
        if os.path.lexists(path) and not os.path.isdir(path):
            raise NotADirectoryError(f"{folder}: nothing can be written there, {path} is not a folder")
    made = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    probe = folder / f".mmcache-{os.getpid()}"
    with ExitStack() as undo:
        try:
            for path in reversed(made):
                undo.callback(_remove_empty, path)  # first, since the making may be interrupted
                path.mkdir()
            undo.callback(probe.unlink, missing_ok=True)
            probe.touch()
        except OSError as error:
            raise type(error)(f"{folder}: nothing can be written there ({error.strerror})") from None
    for name in names:
        if os.path.isdir(folder / name):
            raise IsADirectoryError(f"{folder / name}: is a folder, but a file of that name is to be written")


def _remove_empty(path: Path) -> None:
    if os.path.isdir(path) and not any(path.iterdir()):
        path.rmdir()


def write_files(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write all files, or none: each beside its place first, then all are moved to theirs.

    Raises:
        OSError: one cannot be written; those that were there before are as they were.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as undo:
        parts = {folder / name: folder / f"{name}.part" for name in files}
        for part in parts.values():
            undo.callback(part.unlink, missing_ok=True)
        for part, content in zip(parts.values(), files.values(), strict=True):
            part.write_bytes(content)
        for path, part in parts.items():
            part.replace(path)
    return list(parts)
