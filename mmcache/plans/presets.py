"""The named plans that ship with mmcache, by family: what was measured for images says little about video.

A family is a folder in `configs/`, measured on one of the trained miniatures. Every family has plans of the
same names.
"""

import functools
import importlib.resources
import os
from pathlib import Path
from typing import Any

import yaml

from mmcache.errors import PlanFileError, unknown_name
from mmcache.plans.kinds import FORECASTS, POLICIES
from mmcache.plans.plan import Plan

IMAGE = "image"  # whose presets serve where none were measured
# In C where PyYAML has it: `mmcache presets` reads all of them.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
USUAL = "balanced"  # the preset that `accelerate(pipe)` takes


def families() -> list[str]:
    """The families that presets were measured for."""
    return sorted(
        path.name for path in _folder().iterdir() if path.is_dir() and (path / f"{USUAL}.yaml").exists()
    )


def presets(family: str = IMAGE) -> dict[str, Path]:
    """The presets of a family by name, and their files."""
    return dict(_files(family))


@functools.cache
def _files(family: str) -> dict[str, Path]:
    return {path.stem: path for path in sorted((_folder() / family).glob("*.yaml"))}


def find_plan(name_or_path: str | Path, family: str = IMAGE) -> Plan:
    """A preset by its name, or a plan file by its path.

    Args:
        name_or_path: "fast", or "my-plan.yaml", or of a file with plans of several costs "plans.yaml#3.5x".
        family: of the preset.

    Raises:
        PlanFileError: no such preset or file (with the nearest known name), or not a plan.
    """
    known = presets(family)
    if str(name_or_path) in known:
        return load_preset(known[str(name_or_path)])
    path = Path(name_or_path)
    looks_like_a_path = path.suffix or len(path.parts) > 1
    is_there = bool(str(name_or_path).strip()) and os.path.exists(path)  # unlike Path's, never an error
    if not looks_like_a_path and not is_there:
        raise PlanFileError(
            unknown_name("preset", str(name_or_path), known) + " Or give the path of a plan file."
        )
    from mmcache.plans.plan_set import load_plan_of  # what files of strangers need, and presets do not

    return load_plan_of(path)


@functools.cache  # they ship with mmcache, and a service asks for them at every request
def load_preset(file: Path) -> Plan:
    """A preset from its file, which ships with mmcache: without pydantic, which takes long to import.

    Settings check themselves; `plan_file.load_plan` reads the same file to the same plan.
    """
    contents: dict[str, Any] = yaml.load(file.read_text(encoding="utf-8"), LOADER)
    for part, known in (("policy", POLICIES), ("forecast", FORECASTS)):
        values = dict(contents[part])
        contents[part] = known[values.pop("name")](**values)
    return Plan(**contents)


def _folder() -> Path:
    return Path(str(importlib.resources.files("mmcache.configs")))
