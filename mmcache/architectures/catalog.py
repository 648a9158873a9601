"""The list of all adapters, without importing them, and so without torch.

`adapters/catalog.json` has what a list shows of each, and marks of the files that it was made from. Where an
adapter was added or changed since, or another package brings adapters, they are imported after all.

python -m mmcache.architectures.catalog > adapters/catalog.json
"""

import hashlib
import importlib.resources
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from mmcache.plans.presets import USUAL, find_plan

FILE = "catalog.json"
GROUP = "mmcache.adapters"  # the entry points of other packages


@dataclass(frozen=True)
class CatalogEntry:
    """What a list shows of an adapter.

    Attributes:
        name: as reports call it.
        classes: the model classes that it describes.
        default_plan: where no presets were measured, in words; "" where `family` says it, or for a network
            beside a denoiser.
        family: whose presets were measured on it; "" if none were.
        tasks: families of tasks with presets of their own, by the argument that shows the task.
        beside: whether it is a network beside a denoiser.
    """

    name: str
    classes: tuple[str, ...]
    default_plan: str = ""
    family: str = ""
    tasks: Mapping[str, str] | None = None
    beside: bool = False

    def plans(self) -> list[str]:
        """The default plans in words: one, and one for each task with presets of its own."""
        if self.beside:
            return ["follows its denoiser"]
        usual = str(find_plan(USUAL, self.family)) if self.family else self.default_plan
        return [usual, *(f"with {name}: {find_plan(USUAL, one)}" for name, one in (self.tasks or {}).items())]


def catalog() -> list[CatalogEntry]:
    """All adapters of denoisers by name, then those of networks beside them."""
    stored = _stored()
    if entry_points(group=GROUP) or stored.get("files") != marks():
        return described()
    return [CatalogEntry(**one | {"classes": tuple(one["classes"])}) for one in stored["adapters"]]


def described() -> list[CatalogEntry]:
    """The same from the registry, which imports them."""
    from mmcache.architectures.registry import adapters, side_adapters

    found = [
        CatalogEntry(
            one.name,
            one.denoisers,
            "" if one.family else str(one.default_plan),
            one.family,
            dict(one.tasks),
        )
        for one in adapters()
    ]
    return [*found, *(CatalogEntry(one.name, one.networks, beside=True) for one in side_adapters())]


def marks() -> dict[str, str]:
    """A few letters of each file of adapters that change when it does."""
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        for path in sorted(_folder().glob("*.py"))
    }


def as_json() -> str:
    contents = {"files": marks(), "adapters": [asdict(one) for one in described()]}
    return json.dumps(contents, indent=1)


def _folder() -> Path:
    return Path(str(importlib.resources.files("mmcache.adapters")))


def _stored() -> dict[str, Any]:
    file = _folder() / FILE
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return found


if __name__ == "__main__":
    print(as_json())
