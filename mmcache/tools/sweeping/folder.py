"""The folder of a sweep: finished configurations are there complete, so a stopped sweep goes on from it.

sweep.json holds the settings that all configurations share, full.npz the full run, lines.jsonl a line per
finished configuration, and pictures/ the first images of each. These names stay, so that a sweep which an
older version began can be finished.
"""

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmcache.tools.media.output_folder import check_output, write_files
from mmcache.tools.media.side_by_side import png
from mmcache.tools.sweeping.configurations import Cost
from mmcache.tools.sweeping.generation import Generation
from mmcache.tools.sweeping.result import ConfigurationResult

SETTINGS, FULL, RESULTS, STRIPS = "sweep.json", "full.npz", "lines.jsonl", "pictures"
IMAGES, LATENTS = "pictures", "latents"  # arrays in full.npz
ABOUT_NAMES = ("model",)  # where the model was read from; its weights are compared


class SweepFolder:
    """A folder with one sweep in it.

    Args:
        folder: may be missing.
        settings: what every configuration has in common.

    Attributes:
        results: of the configurations that are finished.

    Raises:
        ValueError: another sweep is in it, or something that is no sweep under the names of one.
        OSError: it cannot be written to.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder = folder
        check_output(folder, (SETTINGS, FULL, RESULTS))
        check_output(folder / STRIPS)
        self.settings = plain(settings)
        self.results: list[ConfigurationResult] = []
        if (folder / RESULTS).exists():
            self._check_whole()
            self._check_same(self._read_json(SETTINGS))
            self.results = self._read_results()

    def finished(self, label: str) -> ConfigurationResult | None:
        """The result of the configuration of this name; None if it is still to be measured."""
        return next((one for one in self.results if one.label == label), None)

    def full(self) -> Generation | None:
        """The full run; None if it is still to be generated."""
        if not self.results:
            return None
        first = self.results[0]
        with np.load(self.folder / FULL) as stored:
            latents = stored[LATENTS] if LATENTS in stored.files else None
            cost = Cost(first.full_calls, first.cached_calls, first.macs, first.bytes_held)
            return Generation(stored[IMAGES], latents, first.seconds, cost)

    def add(self, result: ConfigurationResult, strip: Image.Image, full: Generation | None = None) -> None:
        """Write a finished result, with its first images; the full run itself comes with the first one."""
        files = {f"{STRIPS}/{slug(result.label)}.png": png(strip)}
        if full is not None:
            files |= {SETTINGS: as_lines([self.settings], indent=2), FULL: stored_arrays(full)}
        results = [*self.results, result]
        (self.folder / STRIPS).mkdir(parents=True, exist_ok=True)
        write_files(self.folder, files | {RESULTS: as_lines([one.as_dict() for one in results])})
        self.results = results

    def strip(self, label: str) -> Image.Image:
        """The first images of a finished configuration, in a row."""
        with Image.open(self.folder / STRIPS / f"{slug(label)}.png") as image:
            return image.convert("RGB")

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
                    f"delete {RESULTS} to begin again"
                )

    def _read_results(self) -> list[ConfigurationResult]:
        try:
            texts = (self.folder / RESULTS).read_text(encoding="utf-8").splitlines()
            return [ConfigurationResult.from_dict(json.loads(text)) for text in texts]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(f"{self.folder / RESULTS}: is not what a sweep has written ({error})") from None

    def _read_json(self, name: str) -> Any:
        try:
            return json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
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


def stored_arrays(full: Generation) -> bytes:
    buffer = io.BytesIO()
    arrays = {IMAGES: full.images} | ({} if full.latents is None else {LATENTS: full.latents})
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def as_lines(rows: list[dict[str, Any]], indent: int | None = None) -> bytes:
    texts = [json.dumps(row, indent=indent, allow_nan=False, ensure_ascii=False) for row in rows]
    return "".join(text + "\n" for text in texts).encode()
