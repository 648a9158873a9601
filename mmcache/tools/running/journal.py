"""The journal of a search: what its finished runs have found, so that a stopped one goes on from there.

A folder holds the settings, a line for each measured value, and arrays. It is deleted when the search ends.
"""

import io
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mmcache.errors import shown
from mmcache.tools.media.output_folder import write_files
from mmcache.tools.running.only_one import only_one

SETTINGS, VALUES = "settings.json", "values.jsonl"
Arrays = dict[str, np.ndarray]


class Journal:
    """Remembers what was measured; without a folder it forgets it with the process.

    Args:
        folder: of the journal; None for none.

    Attributes:
        found: how many values of an earlier process were used.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.found = 0
        self._values: dict[str, list[float]] = {}
        self._earlier: frozenset[str] = frozenset()  # of an earlier process

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Read what is there, if it was measured with the same settings.

        Raises:
            ValueError: it was measured with others.
            OSError: nothing can be written.
        """
        if self.folder is None:
            return
        now = json.loads(json.dumps(settings, default=str))
        file = self.folder / SETTINGS
        if not file.exists():
            write_files(self.folder, {SETTINGS: json.dumps(now, indent=2).encode()})
            return
        then = _read(file.read_text(encoding="utf-8"))
        if then != now:
            name = next((key for key in now if not isinstance(then, dict) or then.get(key) != now[key]), "")
            raise ValueError(
                f"{self.folder}: has an unfinished search with other settings ({name}): go on with the same "
                f"ones, or delete that folder to begin again"
            )
        if (self.folder / VALUES).exists():
            lines = (self.folder / VALUES).read_text(encoding="utf-8").splitlines()
            entries = [entry for line in lines if isinstance(entry := _read(line), list)]
            self._values = {str(key): list(values) for key, values in entries}
            self._earlier = frozenset(self._values)

    def values(self, key: str, measure: Callable[[], list[float]]) -> list[float]:
        """What was measured under this key, or is measured now."""
        if key in self._values:
            self.found += key in self._earlier
            return self._values[key]
        found = self._values[key] = measure()
        if self.folder is not None:
            with (self.folder / VALUES).open("a", encoding="utf-8") as opened:
                opened.write(json.dumps([key, found]) + "\n")
        return found

    def knows(self, key: str) -> bool:
        return key in self._values

    def has_arrays(self, name: str) -> bool:
        return self.folder is not None and (self.folder / f"{name}.npz").exists()

    def arrays(self, name: str, make: Callable[[], Arrays]) -> Arrays:
        """The arrays of this name, or those that are made now."""
        if self.has_arrays(name):
            assert self.folder is not None
            self.found += 1
            with np.load(self.folder / f"{name}.npz") as stored:
                return dict(stored)
        made = make()
        if self.folder is not None:
            buffer = io.BytesIO()
            np.savez(buffer, **made)  # type: ignore[arg-type]
            write_files(self.folder, {f"{name}.npz": buffer.getvalue()})
        return made

    def end(self) -> None:
        """The result is safe: nothing is needed any more."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def journal_at(folder: Path | None, what: str) -> Iterator[Journal]:
    """A journal that no other process has.

    Raises:
        ValueError: another one has it.
    """
    if folder is None:
        yield Journal()
        return
    with only_one(folder, what):
        yield Journal(folder)


def _read(text: str) -> Any:
    """JSON; a text of another kind for a line that a kill has left half."""
    try:
        return json.loads(text)
    except ValueError:
        return shown(text)
