"""Counts what becomes of items, and writes down those that were given up."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmcache.tools.generating.drive import Callbacks, Failure
from mmcache.tools.generating.items import Item
from mmcache.tools.generating.progress import Listener
from mmcache.tools.generating.store import Store
from mmcache.tools.generating.totals import Totals
from mmcache.tools.generating.work_source import WorkSource

MOST_PROMPT = 500  # characters in the errors file


class Ledger:
    """Counts what becomes of items, and writes the errors file.

    Args:
        store: of the images.
        errors: the errors file.
        listener: hears of it.
    """

    def __init__(self, store: Store, errors: Path, listener: Listener) -> None:
        self.totals = Totals()  # of all that the run came by
        self.made = Totals()  # of those that it made
        self.failed = 0
        self.errors = errors
        self._store = store
        self._listener = listener
        self.source: WorkSource | None = None

    def found(self, item: Item, sidecar: Mapping[str, Any]) -> None:
        """An item was done before."""
        self.totals.add(sidecar)

    def done(self, slot: int, item: Item, sidecar: Mapping[str, Any]) -> None:
        self.totals.add(sidecar)
        self.made.add(sidecar)
        self._settled(item)
        seconds = (sidecar.get("report") or {}).get("seconds")
        self._listener(
            "done", worker=slot, id=item.name, line=item.number, file=sidecar.get("file"), seconds=seconds
        )

    def fail(self, failure: Failure) -> None:
        item = failure.item
        entry = {
            "line": item.number,
            "id": item.name,
            "prompt": item.prompt[:MOST_PROMPT],
            "seed": item.seed,
            "reason": failure.reason,
            "tries": failure.tries,
        }
        self.failed += 1
        self._settled(item)
        # In one write at the end of the file, so that two drivers do not mix their lines.
        with self.errors.open("ab", buffering=0) as file:
            file.write((json.dumps(entry, ensure_ascii=False) + "\n").encode())
        self._listener("failed", **entry)

    def _settled(self, item: Item) -> None:
        if self.source is not None:
            self.source.settled(item)

    def callbacks(self) -> Callbacks:
        return Callbacks(self._store.sidecar, self.done, self.fail, self._listener)
