"""The list of all adapters, without importing them, and so without torch.

`adapters/catalog.json` has what a list shows of each, and marks of the files that it was made from. Where an
adapter or a default plan was changed since, or another package brings adapters, they are imported after all.

python -m mmcache.architectures.catalog > adapters/catalog.json
"""

import hashlib
import importlib.resources
import json
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

FILE = "catalog.json"
GROUP = "mmcache.adapters"  # the entry points of other packages
DEFAULT_PLANS = "*/balanced.yaml"  # named here too: `plans.presets` takes long to import


@dataclass(frozen=True)
class CatalogEntry:
    """What a list shows of an adapter.

    Attributes:
        name: as reports call it.
        classes: the model classes that it describes.
        plans: the default plans in words: one, and one for each task with presets of its own.
    """

    name: str
    classes: tuple[str, ...]
    plans: tuple[str, ...]


def catalog() -> list[CatalogEntry]:
    """All adapters of denoisers by name, then those of networks beside them."""
    stored = _stored()
    if entry_points(group=GROUP) or stored.get("files") != marks():
        return described()
    return [
        CatalogEntry(one["name"], tuple(one["classes"]), tuple(one["plans"])) for one in stored["adapters"]
    ]


def described() -> list[CatalogEntry]:
    """The same from the registry, which imports them."""
    from mmcache.architectures.registry import adapters, side_adapters
    from mmcache.plans.presets import USUAL, find_plan

    found = [
        CatalogEntry(
            one.name,
            one.denoisers,
            (
                str(find_plan(USUAL, one.family) if one.family else one.default_plan),
                *(f"with {argument}: {find_plan(USUAL, family)}" for argument, family in one.tasks.items()),
            ),
        )
        for one in adapters()
    ]
    beside = [CatalogEntry(one.name, one.networks, ("follows its denoiser",)) for one in side_adapters()]
    return [*found, *beside]


def marks() -> dict[str, str]:
    """A few letters of each file of adapters and default plans that change when it does."""
    plans = Path(str(importlib.resources.files("mmcache.configs"))).glob(DEFAULT_PLANS)
    return {
        "/".join(path.parts[-2:]): hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        for path in sorted([*_folder().glob("*.py"), *plans])
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
