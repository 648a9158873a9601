"""The folder of images: each is written whole, and its sidecar last, as the mark of being done."""

import hashlib
import json
import os
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from mmcache.tools.generating.items import Item

ENDINGS = (".png", ".mp4")
SIDECAR = ".json"
PART = ".part"
GONE = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
TRIES = 3  # to write a file whose temporary name a cleaning took away


class Store:
    """Images and sidecars in one folder. Any number of processes may write to it at once.

    Args:
        folder: exists.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._folder = os.fspath(folder)

    def sidecar(self, item: Item) -> dict[str, Any] | None:
        """What stands beside the item's image; None if it is not done, or was made of something else."""
        found = self.read(item.name)
        return found if found is not None and found.get("key") == item.key else None

    def read(self, name: str) -> dict[str, Any] | None:
        """A sidecar whose image is there at its full length; None where there is none."""
        try:
            with open(self._path(f"{name}{SIDECAR}"), "rb") as file:
                found = json.loads(file.read())
            length = os.stat(self._path(found["file"])).st_size
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return found if length == found.get("bytes") else None

    def _path(self, name: str) -> str:
        """A file of the folder; not as a `Path`, which would keep the name of each of millions."""
        return os.path.join(self._folder, name)

    def in_the_way(self, item: Item) -> str | None:
        """A file under one of the item's names."""
        paths = (self._path(f"{item.name}{ending}") for ending in (*ENDINGS, SIDECAR))
        return next((path for path in paths if os.path.lexists(path)), None)

    def write(self, item: Item, content: bytes, ending: str, sidecar: Mapping[str, Any]) -> dict[str, Any]:
        """Write an item's image, then its sidecar.

        Returns:
            The sidecar.
        """
        file = f"{item.name}{ending}"
        about = {
            "id": item.name,
            "line": item.number,
            "key": item.key,
            "file": file,
            "bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
        } | dict(sidecar)
        # A sidecar of earlier settings must not stand beside this image for a moment.
        (self.folder / f"{item.name}{SIDECAR}").unlink(missing_ok=True)
        self.write_file(file, content, durable=True)
        self.write_file(f"{item.name}{SIDECAR}", as_json(about))
        return about

    def write_file(self, name: str, content: bytes, *, durable: bool = False) -> None:
        """Write a file under a temporary name in the folder, then give it its own.

        Args:
            durable: wait until it is on the disk, so that what is written later does not outlive it.
        """
        part = self.folder / part_name(name)
        for attempt in range(TRIES):
            try:
                write_part(part, content, durable)
                part.replace(self.folder / name)
                return
            except FileNotFoundError:  # somebody took it for a leftover
                if attempt == TRIES - 1:
                    raise
            except BaseException:
                part.unlink(missing_ok=True)
                raise

    def clean(self) -> None:
        """Remove temporary files of processes of this machine that are gone."""
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") and entry.name.endswith(PART):
                    with suppress(OSError):
                        if is_leftover(entry.name, entry.stat().st_mtime):
                            os.unlink(entry.path)


def write_part(part: Path, content: bytes, durable: bool) -> None:
    with part.open("wb") as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())


def part_name(name: str) -> str:
    """A temporary name that no other process or thread has."""
    return f".{name}.{threading.get_ident()}.{owner()}{PART}"


def owner() -> str:
    """This process, in the name of a temporary file: the machine and the process's number."""
    return f"{socket.gethostname().replace('.', '-')}.{os.getpid()}"


def is_leftover(name: str, written: float) -> bool:
    """Whether the process that a temporary file is named after was one of this machine and is gone.

    Args:
        written: when the file was last written to, in seconds since the epoch.
    """
    *_, machine, number = name.removesuffix(PART).split(".")
    if machine != owner().partition(".")[0] or not number.isdecimal():
        return False
    try:
        process = psutil.Process(int(number))
        # Few containers have a process that collects the dead; a restarted one deals the same numbers again.
        return process.status() in GONE or process.create_time() > written
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


def as_json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n").encode()
