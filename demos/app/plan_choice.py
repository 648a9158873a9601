"""How a visitor says how to cache: a cost of the slider, a named plan, or one put together of parts."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mmcache.errors import shown, unknown_name
from mmcache.plans.forecast import Forecast, Hold, Taylor
from mmcache.plans.plan import Plan
from mmcache.plans.plan_file import load_plan
from mmcache.plans.policy import Adaptive, NonUniform, Policy, StepMask, Uniform
from mmcache.plans.presets import IMAGE, presets
from mmcache_demos.app.fields import field_of

SLIDER = "slider"  # the plan is that of the slider's cost
RECOMMENDED = "recommended"  # what `mmcache.accelerate(pipe)` takes
OWN = "own"
COST = re.compile(r"\d{1,3}(\.\d{1,3})?x")
Entry = TypeVar("Entry")


@dataclass(frozen=True)
class PlanChoice:
    """What the controls of a plan say; all but `name` and `cost` count only for a plan of one's own.

    Attributes:
        name: SLIDER, RECOMMENDED, OWN, or the name of a plan.
        cost: of the slider, as "2.5x"; "" for the recommended one. It counts where `name` is SLIDER.
        policy: a key of POLICIES.
        interval: every how many steps one is full.
        center, power: where the full steps of a non-uniform policy are densest, and how much.
        threshold: by which relative change an adaptive policy takes a full step.
        full_steps: the full steps one by one, such as "0, 1, 5".
        forecast: a key of FORECASTS.
        branch: the skip branch of cached steps.
    """

    name: str = SLIDER
    cost: str = ""
    policy: str = "uniform"
    interval: int = 3
    center: int = 15
    power: float = 1.4
    threshold: float = 0.1
    full_steps: str = "0, 1, 2, 5, 10, 20, 30, 40"
    forecast: str = "taylor1"
    branch: int = 0

    def plan(self, named: Mapping[str, Path], family: str = IMAGE) -> Plan | None:
        """The plan; None for the library's default, and for the slider (`costs.slider_for` knows its plans).

        Args:
            named: the plans that can be chosen by name, and their files.
            family: whose presets are meant, see `mmcache.plans.presets`.

        Raises:
            ValueError: a name that is not known, or a part that is wrong.
        """
        if self.cost and not COST.fullmatch(self.cost):
            raise ValueError(f"cost: {shown(self.cost)}: wanted one such as 2.5x")
        if self.name in (SLIDER, RECOMMENDED):
            return None
        if self.name == OWN:
            with field_of("policy"):
                make_policy = found("policy", self.policy, POLICIES)
            with field_of("forecast"):
                make_forecast = found("forecast", self.forecast, FORECASTS)
            with field_of(SET_BY.get(self.policy, "policy")):
                policy = make_policy(self)
            with field_of("branch"):
                return Plan(policy, make_forecast(), self.branch)
        with field_of("plan"):
            return load_plan(found("plan", self.name, {**named, **presets(family)}))


POLICIES: Mapping[str, Callable[[PlanChoice], Policy]] = {
    "uniform": lambda chosen: Uniform(chosen.interval),
    "nonuniform": lambda chosen: NonUniform(chosen.interval, chosen.center, chosen.power),
    "adaptive": lambda chosen: Adaptive(chosen.threshold),
    "steps": lambda chosen: StepMask(whole_numbers(chosen.full_steps)),
}
# The control that sets a policy where one alone does; what is wrong is said there.
SET_BY = {"uniform": "interval", "adaptive": "threshold", "steps": "full_steps"}
FORECASTS: Mapping[str, Callable[[], Forecast]] = {
    "hold": Hold,
    "taylor1": lambda: Taylor(1),
    "taylor2": lambda: Taylor(2),
}


def found(kind: str, name: str, known: Mapping[str, Entry]) -> Entry:
    """The entry of this name.

    Raises:
        ValueError: there is none.
    """
    if name not in known:
        raise ValueError(unknown_name(kind, name, known))
    return known[name]


def whole_numbers(text: str) -> list[int]:
    """0, 4, 9.

    Raises:
        ValueError: something between the commas is no whole number.
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if not word.isdecimal():
            raise ValueError(f"{shown(word)} is no whole number; wanted steps between commas, as 0, 4, 9")
    return [int(word) for word in words]


def named_plans(files: Mapping[str, Path]) -> dict[str, Path]:
    """The presets that ship with mmcache, and further plan files of who started the server.

    Raises:
        PlanFileError: one cannot be read.
        ValueError: one has the name of another.
    """
    known = presets()
    for name, path in files.items():
        if name in {*known, SLIDER, RECOMMENDED, OWN}:
            raise ValueError(f"{path}: a plan named {name!r} is there already; give the file another name")
        load_plan(path)
    return known | dict(files)
