"""Two lines that would write the same file are found beforehand, in constant memory."""

import hashlib
import tempfile
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np

BUCKETS = 64
BUFFERED = 4096  # bytes per bucket before they are written
RECORD = np.dtype([("name", "<u8"), ("key", "<u8"), ("line", "<u8")])


class NameCollector:
    """Names of items, hashed into files by their first bits; each file is small enough to sort."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mmcache-names-")
        self._buffers = [bytearray() for _ in range(BUCKETS)]

    def add(self, name: str, key: str, line: int) -> None:
        """Note the name of an item, the hash of what it is, and its line."""
        # File systems of some machines do not tell capital letters from small ones, nor an accent of its own
        # from a letter that has it.
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
        hashed = hashlib.sha256(folded.encode()).digest()
        buffer = self._buffers[hashed[8] % BUCKETS]
        buffer += hashed[:8] + bytes.fromhex(key[:16]) + line.to_bytes(8, "little")
        if len(buffer) >= BUFFERED:
            self._write(hashed[8] % BUCKETS)

    def collisions(self) -> Iterator[tuple[int, int]]:
        """The lines, a pair at a time, that have one name and are not the same; the collector is used up."""
        with self._folder:
            for number in range(BUCKETS):
                self._write(number)
                found = np.sort(np.fromfile(self._file(number), RECORD), order=["name", "line"])
                first, second = found[:-1], found[1:]
                same = (first["name"] == second["name"]) & (first["key"] != second["key"])
                yield from zip(first["line"][same].tolist(), second["line"][same].tolist(), strict=True)

    def _file(self, number: int) -> Path:
        return Path(self._folder.name, str(number))

    def _write(self, number: int) -> None:
        with self._file(number).open("ab") as file:
            file.write(self._buffers[number])
        self._buffers[number].clear()
