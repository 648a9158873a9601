"""Several plans in one file, by their cost in multiply-adds: what a calibration writes.

costs:
  2x: {policy: ..., forecast: ..., branch: none, ...}
  3.5x: ...

`accelerate(pipe, "plans.yaml#3.5x")` takes one of them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmcache.errors import PlanFileError, shown, unknown_name
from mmcache.plans.plan import Plan, check_is_plan
from mmcache.plans.plan_file import (
    load_plan,
    plan_as_dict,
    plan_from_contents,
    read_contents,
    write_contents,
)

COSTS = "costs"  # the key of a file with several plans


def cost_name(cost: float) -> str:
    """2x, 3.5x."""
    return f"{cost:g}x"


def save_plans(plans: Mapping[str, Plan], path: str | Path) -> None:
    """Write a file with several plans, whole or not at all.

    Raises:
        PlanFileError: as for `save_plan`.
        TypeError: no plans by name.
    """
    if not isinstance(plans, Mapping) or not plans:
        raise TypeError(f"plans={shown(plans)}: wanted plans by their cost, such as {{'2x': plan}}")
    for plan in plans.values():
        check_is_plan(plan)
    write_contents({COSTS: {name: plan_as_dict(plan) for name, plan in plans.items()}}, Path(path))


def load_plans(path: str | Path) -> dict[str, Plan]:
    """The plans of a file, by cost.

    Raises:
        PlanFileError: as for a file with one plan, or it has only one.
    """
    contents = read_contents(Path(path))
    if not has_costs(contents):
        raise PlanFileError(f"{path}: is a file with one plan, without the key {COSTS!r}: use load_plan")
    return {
        str(name): plan_from_contents(one, Path(f"{path}#{name}")) for name, one in contents[COSTS].items()
    }


def load_plan_of(path: str | Path) -> Plan:
    """The plan of a file; of one with several, that behind the #: plans.yaml#3.5x.

    Raises:
        PlanFileError: as for `load_plan`, or there are several plans and none, or an unknown one, is named.
    """
    file, _, cost = str(path).partition("#")
    if not Path(file).exists() or (not cost and not has_costs(read_contents(Path(file)))):
        return load_plan(path)
    plans = load_plans(file)
    if cost not in plans:
        example = f"{file}#{next(iter(plans))}"
        why = unknown_name("cost", cost, plans) if cost else f"has plans for {', '.join(plans)}"
        raise PlanFileError(f"{file}: {why}; name one behind the file: {example}")
    return plans[cost]


def has_costs(contents: Any) -> bool:
    """Whether this is a file with several plans."""
    return isinstance(contents, dict) and isinstance(contents.get(COSTS), dict) and bool(contents[COSTS])
