"""A folder for results: found out to be writable before the work, and written whole or not at all."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# Hidden folders, there while files are written: a set that grows; a whole one, before which the old files
# go; and one whose files move to their places.
BESIDE, WHOLE_SET, PLACING = ".mmcache.part", ".mmcache.set", ".mmcache.placing"


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
    if os.path.isdir(folder) and os.access(folder, os.W_OK):
        finish_writing(folder)
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
    """Write all files, or none; those of two writings never stand side by side, whoever writes or is killed.

    They are written into a hidden folder, which is then renamed: from that moment the set is there. What a
    kill leaves undone after it, `finish_writing` does; `check_output` and every writing begin with that.

    Args:
        files: by their names, which may have a folder in front.

    Raises:
        OSError: one cannot be written; those that were there before are as they were.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with only_writer(folder):
        _finish(folder)
        beside = folder / BESIDE
        with ExitStack() as undo:
            undo.callback(shutil.rmtree, beside, ignore_errors=True)
            for name, content in files.items():
                part = beside / name
                part.parent.mkdir(parents=True, exist_ok=True)
                part.write_bytes(content)
            for name in files:
                if os.path.isdir(folder / name):
                    raise IsADirectoryError(
                        f"{folder / name}: is a folder, but a file is to be written there"
                    )
            beside.replace(folder / WHOLE_SET)
        _finish(folder)
    return [folder / name for name in files]


def finish_writing(folder: Path) -> None:
    """Put a set into its place whose writer was killed on the way, and delete what another had begun."""
    if any(os.path.lexists(folder / name) for name in (BESIDE, WHOLE_SET, PLACING)):
        with only_writer(folder):
            _finish(folder)


def _finish(folder: Path) -> None:
    shutil.rmtree(folder / BESIDE, ignore_errors=True)
    _place(folder)
    complete = folder / WHOLE_SET
    if complete.is_dir():
        # Old ones go before the first new one comes, so that no moment has files of both.
        for name in _files_in(complete):
            (folder / name).unlink(missing_ok=True)
        complete.replace(folder / PLACING)
        _place(folder)


def _place(folder: Path) -> None:
    """Move a set into its place, where nothing is left of the one before."""
    placing = folder / PLACING
    if placing.is_dir():
        for name in _files_in(placing):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (placing / name).replace(folder / name)
        shutil.rmtree(placing)


def _files_in(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Wait until no other process writes into the folder; a killed one does not stand in the way."""
    if fcntl is None:  # Windows locks files only, and a file of ours would be left
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
