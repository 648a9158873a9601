"""Plans as files: the presets in `configs/` (`presets`), and whatever a user or a calibration writes.

policy: {name: Uniform, interval: 3}
forecast: {name: Taylor, order: 1}
branch: 0
evidence: where the figures come from
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mmcache.errors import PlanFileError, shortened, unknown_name
from mmcache.plans import forecast, policy
from mmcache.plans.calibrated_for import CalibratedFor
from mmcache.plans.plan import Plan

POLICIES = {
    cls.__name__: cls for cls in (policy.Uniform, policy.NonUniform, policy.StepMask, policy.Adaptive)
}
FORECASTS = {cls.__name__: cls for cls in (forecast.Hold, forecast.Taylor, forecast.Fitted)}
PLAN_KEYS = ("policy", "forecast", "branch", "evidence", "calibrated_for")
MOST = 300  # characters of a message
EARLIER_KEYS = {"made_for": "calibrated_for"}  # files of version 0.1 have these


class Placed(dict[Any, Any]):
    """A mapping of a YAML file that knows in which line each key stands, counted from 1."""

    lines: dict[Any, int]


class PlacedLoader(yaml.SafeLoader):
    """Reads mappings as `Placed`."""


def placed(loader: PlacedLoader, node: yaml.MappingNode) -> Placed:
    loader.flatten_mapping(node)
    pairs = [(loader.construct_object(key, deep=True), key, value) for key, value in node.value]
    mapping = Placed((name, loader.construct_object(value, deep=True)) for name, _, value in pairs)
    mapping.lines = {name: key.start_mark.line + 1 for name, key, _ in pairs}
    return mapping


PlacedLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, placed)


def load_plan(path: str | Path) -> Plan:
    """Read a plan file.

    Raises:
        PlanFileError: missing, empty, not YAML, an unknown key (with the nearest known one) or a wrong value.
    """
    return plan_from_contents(read_contents(Path(path)), str(path))


def read_contents(path: Path) -> Any:
    """The contents of a YAML file, whose mappings know their lines.

    Raises:
        PlanFileError: missing, empty or not YAML.
    """
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), PlacedLoader)
    except FileNotFoundError:
        raise PlanFileError(f"{path}: no such plan file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise PlanFileError(f"{path}: cannot be read as a plan file: {error}") from None
    except yaml.YAMLError as error:
        raise PlanFileError(f"{path}: not YAML: {error}") from None
    if data is None:
        raise PlanFileError(f"{path}: is empty; a plan file has the keys {', '.join(PLAN_KEYS)}")
    return data


def plan_from_contents(data: Any, where: str) -> Plan:
    """A plan from what stands in a file.

    Raises:
        PlanFileError: an unknown key or a wrong value; the message says where.
    """
    try:
        return plan_from(data)
    except (ValueError, TypeError) as error:
        raise PlanFileError(shortened(f"{where}: {error}", MOST)) from None


def save_plan(plan: Plan, path: str | Path) -> None:
    """Write a plan file, whole or not at all."""
    path = Path(path)
    beside = path.with_name(path.name + ".part")
    beside.write_text(plan_text(plan), encoding="utf-8")
    beside.replace(path)


def plan_text(plan: Plan) -> str:
    """What stands in the plan's file."""
    return yaml.safe_dump(plan_as_dict(plan), sort_keys=False, allow_unicode=True)


def plan_from(data: Any) -> Plan:
    """A plan from the contents of a plan file.

    Raises:
        ValueError: a key or name that is not known, a missing or wrong value.
    """
    keys_must_be_known(data, (*PLAN_KEYS, *EARLIER_KEYS), "a plan")
    for earlier, key in EARLIER_KEYS.items():
        if earlier in data and key in data:
            raise ValueError(f"a plan has the key {key!r} and its earlier name {earlier!r}: keep {key!r}")
        if earlier in data:
            data = data | {key: data[earlier]}
    if "policy" not in data:
        raise ValueError("a plan needs a policy, such as {name: Uniform, interval: 3}")
    chosen: dict[str, Any] = {"policy": setting(data["policy"], POLICIES, "policy")}
    if "forecast" in data:
        chosen["forecast"] = setting(data["forecast"], FORECASTS, "forecast")
    if "calibrated_for" in data:
        chosen["calibrated_for"] = options_of(CalibratedFor, data["calibrated_for"], "calibrated_for")
    return Plan(**chosen, **{key: data[key] for key in ("branch", "evidence") if key in data})


def setting(data: Any, known: Mapping[str, type], kind: str) -> Any:
    """A policy or forecast from `{name: ..., option: value}`."""
    if not isinstance(data, dict) or "name" not in data:
        raise ValueError(f"{kind}: {data!r}: wanted {{name: ..., ...}} with one of {', '.join(known)}")
    options = {key: value for key, value in data.items() if key != "name"}
    cls = known.get(data["name"])
    if cls is None:
        raise ValueError(unknown_name(kind, data["name"], known))
    return options_of(cls, options, data["name"])


def options_of(cls: Any, options: Any, where: str) -> Any:
    """An instance of a dataclass from its fields by name."""
    keys_must_be_known(options, [field.name for field in dataclasses.fields(cls)], where)
    return cls(**options)


def keys_must_be_known(data: Any, known: Any, where: str) -> None:
    if not isinstance(data, dict):
        raise ValueError(f"{where} is written as keys and values, not as {type(data).__name__}")
    for key in data:
        if key not in known:
            line = f"line {data.lines[key]}, " if isinstance(data, Placed) else ""
            raise ValueError(f"{line}in {where}: {unknown_name('key', key, known)}")


def plan_as_dict(plan: Plan) -> dict[str, Any]:
    """The contents of the plan's file: plain values only."""
    return {
        "policy": setting_as_dict(plan.policy),
        "forecast": setting_as_dict(plan.forecast),
        "branch": plain(plan.branch),
        **({"evidence": plan.evidence} if plan.evidence else {}),
        **({"calibrated_for": dataclasses.asdict(plan.calibrated_for)} if plan.calibrated_for else {}),
    }


def setting_as_dict(chosen: Any) -> dict[str, Any]:
    values = {field.name: getattr(chosen, field.name) for field in dataclasses.fields(chosen)}
    defaults = {field.name: field.default for field in dataclasses.fields(chosen)}
    return {"name": type(chosen).__name__} | {k: plain(v) for k, v in values.items() if v != defaults[k]}


def plain(value: Any) -> Any:
    return [plain(entry) for entry in value] if isinstance(value, tuple) else value
