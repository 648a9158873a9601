"""The folder of a sweep: what is finished is there whole, so a sweep that was stopped goes on from it.

sweep.json says what every line has in common, full.npz holds the full run, lines.jsonl one line per
finished line, and pictures/ the first pictures of each.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmcache.tools.comparison.comparison import png
from mmcache.tools.media.output_folder import check_output, write_files
from mmcache.tools.sweeping.drawing import Drawing
from mmcache.tools.sweeping.lines import Cost
from mmcache.tools.sweeping.result import LineResult

SETTINGS, FULL, LINES, PICTURES = "sweep.json", "full.npz", "lines.jsonl", "pictures"
ABOUT_NAMES = ("model",)  # where the model was read from; its weights are compared


class SweepFolder:
    """A folder with one sweep in it.

    Args:
        folder: may be missing.
        settings: what every line has in common.

    Attributes:
        lines: those that are finished.

    Raises:
        ValueError: another sweep is in it, or something that is no sweep under the names of one.
        OSError: it cannot be written to.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder = folder
        check_output(folder, (SETTINGS, FULL, LINES))
        check_output(folder / PICTURES)
        self.settings = plain(settings)
        self.lines: list[LineResult] = []
        if (folder / LINES).exists():
            self._check_whole()
            self._check_same(self._read_json(SETTINGS))
            self.lines = self._read_lines()

    def finished(self, label: str) -> LineResult | None:
        """The line of this name; None if it is still to be measured."""
        return next((line for line in self.lines if line.label == label), None)

    def full(self) -> Drawing | None:
        """The full run; None if it is still to be drawn."""
        if not self.lines:
            return None
        first = self.lines[0]
        with np.load(self.folder / FULL) as stored:
            latents = stored["latents"] if "latents" in stored.files else None
            cost = Cost(first.full_calls, first.cached_calls, first.macs, first.bytes_held)
            return Drawing(stored["pictures"], latents, first.seconds, cost)

    def add(self, line: LineResult, strip: Image.Image, full: Drawing | None = None) -> None:
        """Write a finished line, with its first pictures; the full run itself comes with the first one."""
        files = {f"{PICTURES}/{slug(line.label)}.png": png(strip)}
        if full is not None:
            files |= {SETTINGS: as_lines([self.settings], indent=2), FULL: stored_arrays(full)}
        lines = [*self.lines, line]
        (self.folder / PICTURES).mkdir(parents=True, exist_ok=True)
        write_files(self.folder, files | {LINES: as_lines([one.as_dict() for one in lines])})
        self.lines = lines

    def strip(self, label: str) -> Image.Image:
        """The first pictures of a finished line, in a row."""
        with Image.open(self.folder / PICTURES / f"{slug(label)}.png") as picture:
            return picture.convert("RGB")

    def _check_same(self, before: Mapping[str, Any]) -> None:
        names = [*before, *(name for name in self.settings if name not in before)]
        for name in names:
            then, now = before.get(name), self.settings.get(name)
            if then != now and name not in ABOUT_NAMES:
                raise ValueError(
                    f"{self.folder}: a sweep with other settings is in it ({difference(name, then, now)}); "
                    f"take another folder, or the same settings to go on with that one"
                )

    def _check_whole(self) -> None:
        for name in (SETTINGS, FULL):
            if not (self.folder / name).exists():
                raise ValueError(
                    f"{self.folder}: a sweep is in it, but its {name} is missing; take another folder, or "
                    f"delete {LINES} to begin again"
                )

    def _read_lines(self) -> list[LineResult]:
        try:
            texts = (self.folder / LINES).read_text(encoding="utf-8").splitlines()
            return [LineResult.from_dict(json.loads(text)) for text in texts]
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{self.folder / LINES}: is not what a sweep has written ({error})") from None

    def _read_json(self, name: str) -> Any:
        try:
            return json.loads((self.folder / name).read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"{self.folder / name}: is not what a sweep has written ({error})") from None


def plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """As they are read again from JSON."""
    return json.loads(json.dumps(settings, default=str))


def difference(name: str, then: Any, now: Any) -> str:
    """steps: 50 there, 25 now."""
    if isinstance(then, dict) and isinstance(now, dict):
        key = next(key for key in [*then, *now] if then.get(key) != now.get(key))
        return difference(f"{name} {key}", then.get(key), now.get(key))
    return f"{name}: {shortened(then)} there, {shortened(now)} now"


def shortened(value: Any, most: int = 60) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= most else text[:most] + " ..."


def slug(label: str) -> str:
    """A file's name for a label, each label its own."""
    words = "".join(letter if letter.isalnum() else "-" for letter in label.lower())
    plainly = "-".join(word for word in words.split("-") if word)[:80]
    return f"{plainly}-{hashlib.sha256(label.encode()).hexdigest()[:6]}"


def stored_arrays(full: Drawing) -> bytes:
    buffer = io.BytesIO()
    if full.latents is None:
        np.savez(buffer, pictures=full.pictures)
    else:
        np.savez(buffer, pictures=full.pictures, latents=full.latents)
    return buffer.getvalue()


def as_lines(rows: list[dict[str, Any]], indent: int | None = None) -> bytes:
    texts = [json.dumps(row, indent=indent, allow_nan=False, ensure_ascii=False) for row in rows]
    return "".join(text + "\n" for text in texts).encode()
