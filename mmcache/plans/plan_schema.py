"""The JSON schema of plan files, by which editors complete and check them.

python -m mmcache.plans.plan_schema > configs/plan.schema.json
"""

import dataclasses
import inspect
import json
from typing import Any

from mmcache.plans.branch import NONE
from mmcache.plans.calibrated_for import CalibratedFor
from mmcache.plans.plan import Plan
from mmcache.plans.plan_file import FORECASTS, POLICIES

WHOLE = {"type": "integer", "minimum": 0}
BRANCH = {"anyOf": [WHOLE, {"const": NONE}]}
# By the annotation of a setting's field.
KINDS: dict[Any, dict[str, Any]] = {
    int: WHOLE,
    int | None: {"anyOf": [WHOLE, {"type": "null"}]},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    str: {"type": "string"},
}
# Fields whose annotation says less than is meant.
SHAPES = {
    "full": {"type": "array", "items": WHOLE},
    "weights": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
}


def plan_schema() -> dict[str, Any]:
    """Of a plan file; the names of policies and forecasts and their options are those of the classes."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A plan of mmcache",
        "type": "object",
        "required": ["policy"],
        "additionalProperties": False,
        "properties": {
            "policy": {"oneOf": [_named(name, cls) for name, cls in POLICIES.items()]},
            "forecast": {"oneOf": [_named(name, cls) for name, cls in FORECASTS.items()]},
            "branch": {
                "description": "The skip branch of cached steps, or one for each step; none runs no layer.",
                "anyOf": [*BRANCH["anyOf"], {"type": "array", "items": BRANCH, "minItems": 1}],
            },
            "evidence": {"type": "string", "description": "The measurement that the plan rests on."},
            "calibrated_for": _object(CalibratedFor),
        },
    }


def _named(name: str, cls: Any) -> dict[str, Any]:
    """`{name: ..., option: value}`."""
    found = _object(cls)
    found["properties"] = {"name": {"const": name}} | found["properties"]
    found["required"] = ["name", *found["required"]]
    return found


def _object(cls: Any) -> dict[str, Any]:
    fields = dataclasses.fields(cls)
    required = [f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING]
    return {
        "description": inspect.cleandoc(cls.__doc__ or "").partition("\n")[0],
        "type": "object",
        "properties": {f.name: SHAPES.get(f.name) or KINDS[f.type] for f in fields},
        "required": required,
        "additionalProperties": False,
    }


if __name__ == "__main__":
    assert {f.name for f in dataclasses.fields(Plan)} == set(plan_schema()["properties"])
    print(json.dumps(plan_schema(), indent=2))
