"""Plans as files: the presets in `configs/` (`presets`), and whatever a user or a calibration writes.

policy: {name: Uniform, interval: 3}
forecast: {name: Taylor, order: 1}
branch: 0
evidence: where the figures come from
"""

import dataclasses
import secrets
from collections.abc import Callable, Mapping, Sequence
from mimetypes import guess_type
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from mmcache.errors import PlanFileError, shortened, shown, unknown_name
from mmcache.plans.calibrated_for import CalibratedFor
from mmcache.plans.forecast import DefaultForecast
from mmcache.plans.kinds import EARLIER_KEYS, FORECASTS, POLICIES
from mmcache.plans.plan import Plan, check_is_plan
from mmcache.plans.plan_yaml import MOST_BYTES, Placed, read_plain

if TYPE_CHECKING:  # the presets are read without it
    from pydantic import BaseModel, ValidationError

PLAN_KEYS = tuple(field.name for field in dataclasses.fields(Plan))
KNOWN: Mapping[Any, Mapping[str, type]] = {"policy": POLICIES, "forecast": FORECASTS}
CALIBRATED = ("calibrated_for", *EARLIER_KEYS)
MOST = 300  # characters of a message
MOST_PATH = 140  # of them, of a path; its end says more than its beginning


def load_plan(path: str | Path) -> Plan:
    """Read a plan file.

    Raises:
        PlanFileError: missing, empty, no regular file, too large, not plain YAML, an unknown key (with the
            nearest known one) or a wrong value.
    """
    return plan_from_contents(read_contents(Path(path)), Path(path))


def read_contents(path: Path) -> Any:
    """The contents of a YAML file, whose mappings know their lines.

    Raises:
        PlanFileError: missing, empty, no regular file, too large or not plain YAML.
    """
    try:
        data = read_plain(path)
        if data is None:
            raise ValueError(f"is empty; a plan file has the keys {', '.join(PLAN_KEYS)}")
        return data
    except FileNotFoundError:
        raise PlanFileError(about(path, "no such plan file")) from None
    except (ValueError, TypeError) as error:
        raise PlanFileError(about(path, str(error))) from None


def plan_from_contents(data: Any, path: Path) -> Plan:
    """A plan from what stands in a file.

    Raises:
        PlanFileError: an unknown key or a wrong value.
    """
    try:
        return plan_from(data)
    except (ValueError, TypeError) as error:
        raise PlanFileError(about(path, str(error))) from None


def about(path: Path, what: str) -> str:
    """A message about a file, in one line and of bounded length."""
    name = str(path)
    cut = name if len(name) <= MOST_PATH else "..." + name[-MOST_PATH + 3 :]
    # A file system's names and a file's text may hold what no terminal can write.
    line = " ".join(f"{cut}: {what}".split()).encode("utf-8", "backslashreplace").decode("utf-8")
    return shortened(line, MOST)


def save_plan(plan: Plan, path: str | Path) -> None:
    """Write a plan file, whole or not at all.

    Raises:
        PlanFileError: the plan is larger than a file may be, or the file cannot be that of a plan.
        TypeError: it is no plan.
    """
    check_is_plan(plan)
    write_contents(plan_as_dict(plan), Path(path))


def write_contents(contents: Mapping[str, Any], path: Path) -> None:
    """Write what a plan file holds, whole or not at all.

    Raises:
        PlanFileError: it is larger than a file may be, or the file cannot be that of a plan.
    """
    check_plan_name(path)
    if path.is_dir() or not path.parent.is_dir():
        why = "is a folder, and a file is to be written" if path.is_dir() else "its folder is not there"
        raise PlanFileError(about(path, why))
    content = contents_text(contents).encode("utf-8")
    if len(content) > MOST_BYTES:
        raise PlanFileError(about(path, f"a plan of {len(content)} bytes, and at most {MOST_BYTES} are read"))
    beside = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")  # others may be writing it too
    try:
        beside.write_bytes(content)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def check_plan_name(path: Path) -> None:
    """Refuse a name under which nobody would look for a plan, or find it again.

    Raises:
        PlanFileError: it is empty, or has a # or the suffix of another kind of file.
    """
    if not path.name:
        raise PlanFileError("the plan file has no name, or is a folder: give one such as plan.yaml")
    kind = guess_type(path.name)[0] or "text/yaml"
    if "#" in path.name:
        raise PlanFileError(about(path, "a plan file's name has no #, which names one of its plans"))
    if not kind.startswith("text/") and "yaml" not in kind:
        raise PlanFileError(about(path, f"plans are YAML, so take a name such as {path.stem}.yaml"))


def plan_text(plan: Plan) -> str:
    """What stands in the plan's file."""
    return contents_text(plan_as_dict(plan))


def contents_text(contents: Mapping[str, Any]) -> str:
    """A plan file's text from its contents."""
    return yaml.safe_dump(dict(contents), sort_keys=False, allow_unicode=True)


def plan_from(data: Any) -> Plan:
    """A plan from the contents of a plan file.

    Raises:
        ValueError: a key or name that is not known, a missing or wrong value.
    """
    from pydantic import ValidationError

    from mmcache.plans.plan_model import PlanModel

    try:
        read = PlanModel.model_validate(data)
    except ValidationError as error:
        raise ValueError(first_refusal(error, data)) from None
    given = {key: getattr(read, key) for key in read.model_fields_set}
    for earlier, key in EARLIER_KEYS.items():
        if earlier in given and key in given:
            raise ValueError(f"a plan has the key {key!r} and its earlier name {earlier!r}: keep {key!r}")
        if earlier in given:
            given[key] = given.pop(earlier)
    makers = {"policy": named(POLICIES), "forecast": named(FORECASTS), "calibrated_for": made(CalibratedFor)}
    return Plan(**{key: makers[key](part) if key in makers else part for key, part in given.items()})


def made(cls: type) -> "Callable[[BaseModel], Any]":
    """From the model of a dataclass to the dataclass."""
    return lambda part: cls(**{f.name: getattr(part, f.name) for f in dataclasses.fields(cls)})


def named(known: Mapping[str, type]) -> Callable[[Any], Any]:
    """The same for one of several, which its name chooses."""
    return lambda part: made(known[part.name])(part)


def first_refusal(error: "ValidationError", data: Any) -> str:
    """What was wrong, in the words of whoever makes the setting in Python: pydantic's own say less.

    An unknown key comes first, since the value that is missing beside it is often that of the key meant.
    """
    found = error.errors(include_url=False, include_context=False)
    strange = [one for one in found if one["type"] in ("extra_forbidden", "invalid_key")]
    first = (strange or found)[0]
    kind, met = first["type"], first["input"]
    place: list[Any] = list(first["loc"])
    known = KNOWN.get(place[0], {}) if place else {}
    if kind == "missing" and place == ["policy"]:
        return "a plan needs a policy, such as {name: Uniform, interval: 3}"
    if kind == "union_tag_invalid":
        return unknown_name(str(place[0]), met.get("name"), known)
    if known and len(place) == 1:
        return f"{place[0]}: {shown(met)}: wanted {{name: ..., ...}} with one of {', '.join(known)}"
    inside = known[place[1]] if known else CalibratedFor if place and place[0] in CALIBRATED else Plan
    where = place[1] if known else place[0] if inside is CalibratedFor else "a plan"
    if strange:
        return f"{line_of(place, data)}in {where}: {unknown_name('key', place[-1], names_in(inside))}"
    if kind == "missing":
        return f"{where} needs a value for {place[-1]!r}"
    if kind in ("model_type", "model_attributes_type"):
        return f"{where} is written as keys and values, not as {type(met).__name__}"
    refuse_as_python_does(inside, place[2 if known else 0 if inside is Plan else 1 :], met)
    return f"in {where}: {shown(met)}: {first['msg']}"


def refuse_as_python_does(cls: Any, place: list[Any], met: Any) -> None:
    """Raise what making the setting in Python raises, if it does.

    Args:
        cls: of the setting.
        place: its field, and the places of entries within lists.
        met: the value there.
    """
    name, *inner = place
    values: dict[str, Any] = {field.name: field.type for field in dataclasses.fields(cls)}
    (value,) = values[name].__metadata__
    for part in inner:
        value = value.of if isinstance(part, int) else value
    value.check(cls.__name__, name, met)


def names_in(cls: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(cls)]


def line_of(place: Sequence[Any], data: Any) -> str:
    """In which line of the file an unknown key stands, where that is known."""
    for part in place[:-1]:
        data = data.get(part, data)  # the name of a policy is a part of the place, not of the file
    return f"line {data.lines[place[-1]]}, " if isinstance(data, Placed) and place[-1] in data.lines else ""


def plan_as_dict(plan: Plan) -> dict[str, Any]:
    """The contents of the plan's file: plain values only."""
    return {
        "policy": setting_as_dict(plan.policy),
        **({"forecast": setting_as_dict(plan.forecast)} if names_forecast(plan) else {}),
        "branch": plain(plan.branch),
        **({"evidence": plan.evidence} if plan.evidence else {}),
        **({"calibrated_for": dataclasses.asdict(plan.calibrated_for)} if plan.calibrated_for else {}),
    }


def names_forecast(plan: Plan) -> bool:
    """Whether a plan says what a cached step gets; otherwise the model does."""
    return not isinstance(plan.forecast, DefaultForecast)


def setting_as_dict(chosen: Any) -> dict[str, Any]:
    values = {field.name: getattr(chosen, field.name) for field in dataclasses.fields(chosen)}
    defaults = {field.name: field.default for field in dataclasses.fields(chosen)}
    return {"name": type(chosen).__name__} | {k: plain(v) for k, v in values.items() if v != defaults[k]}


def plain(value: Any) -> Any:
    return [plain(entry) for entry in value] if isinstance(value, tuple) else value
