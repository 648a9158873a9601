"""The model of a plan file: `plan_file` reads by it, and the JSON schema for editors is made from it.

Its parts are the classes of policies and forecasts, whose annotations (`values`) say what is allowed.
"""

import dataclasses
import inspect
from collections.abc import Mapping
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from mmcache.plans.calibrated_for import CalibratedFor
from mmcache.plans.kinds import EARLIER_KEYS, FORECASTS, POLICIES
from mmcache.plans.plan import Plan

_BOTH: Any = [{"required": [earlier, key]} for earlier, key in EARLIER_KEYS.items()]


def _first_line(cls: type) -> str:
    return inspect.cleandoc(cls.__doc__ or "").partition("\n")[0]


def _part(cls: Any, **more: Any) -> type[BaseModel]:
    """The model of a dataclass: its fields, and no others."""
    own: dict[str, Any] = {
        one.name: (one.type, ... if one.default is dataclasses.MISSING else one.default)
        for one in dataclasses.fields(cls)
    }
    config = ConfigDict(extra="forbid")
    made: type[BaseModel] = create_model(
        str(cls.__name__), __config__=config, __doc__=_first_line(cls), **more, **own
    )
    return made


def _named(known: Mapping[str, type]) -> Any:
    """One of several dataclasses, chosen by a key `name` beside its fields."""
    models: list[Any] = [_part(cls, name=(Literal[name], ...)) for name, cls in known.items()]
    return Annotated[reduce(or_, models), Field(discriminator="name")]


def _absent() -> None:
    """The default of a key that may be left out, and that has no value that says so."""


_fields = {one.name: one.type for one in dataclasses.fields(Plan)}
_calibrated = (_part(CalibratedFor), Field(default_factory=_absent))
_parts: dict[str, Any] = {
    "policy": (_named(POLICIES), ...),
    "forecast": (_named(FORECASTS), Field(default_factory=_absent)),
    "branch": (
        _fields["branch"],
        Field(0, description="The skip branch of cached steps, or one for each step; none runs no layer."),
    ),
    "evidence": (_fields["evidence"], Field("", description="The measurement that the plan rests on.")),
    "calibrated_for": _calibrated,
    **dict.fromkeys(EARLIER_KEYS, _calibrated),
}

PlanModel: type[BaseModel] = create_model(
    "Plan",
    __config__=ConfigDict(extra="forbid", json_schema_extra={"not": {"anyOf": _BOTH}}),
    __doc__="A plan of mmcache",
    **_parts,
)
