"""The stops of the page's slider: costs, and what each holds as `measure_costs` has measured it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from mmcache.plans.plan import Plan
from mmcache.plans.plan_set import load_plan_of
from mmcache.plans.presets import IMAGE, USUAL, find_plan
from mmcache.plans.preview import full_steps
from mmcache.tools.tasks.tasks import find_task
from mmcache_demos.app.settings import MINIATURE, OWN_SAMPLER, SHIPPED_AS, Settings

FILE = Path(__file__).parent / "stored" / "costs.json"
_TUNED = Path(str(files("mmcache.configs"))) / "tuned"
# Plans that were calibrated for one shipped model, by task and model.
CALIBRATED: Mapping[tuple[str, str], Path] = {
    ("text-to-image", MINIATURE): _TUNED / "portraits.yaml",
    ("text-to-image", SHIPPED_AS + "transformer"): _TUNED / "portraits-transformer.yaml",
    ("text-to-video", MINIATURE): _TUNED / "clips-25-steps.yaml",
}
UNSEEN = 45.0  # dB: from here on nobody sees a difference
# From the full run's closeness in dB to words; the first that it reaches.
WORDS = (
    (UNSEEN, "You will not see a difference"),
    (35.0, "Look closely to see a difference"),
    (25.0, "You will see a difference"),
)
FARTHEST = "It is another image"


@dataclass(frozen=True)
class Cost:
    """A stop of the slider.

    Attributes:
        name: how many times less work, as "2.5x".
        plan: the name of a preset, or of a calibrated plan as "portraits#2.5x".
        less_work: times fewer multiply-adds of the denoiser.
        psnr: to the full run in dB, mean over the prompts.
        worst: of them.
        recommended: the fastest that is at least as close as the library's default, in the mean and, if there
            is one, in the worst image too. Where the default's differences are seen, one whose are not.
    """

    name: str
    plan: str
    less_work: float
    psnr: float
    worst: float
    recommended: bool = False

    def make(self, family: str) -> Plan:
        """The plan itself.

        Args:
            family: whose presets are meant.
        """
        stem, _, cost = self.plan.partition("#")
        if not cost:
            return find_plan(stem, family)
        path = next(path for path in CALIBRATED.values() if path.stem == stem)
        return load_plan_of(f"{path}#{cost}")


@dataclass(frozen=True)
class Slider:
    """The stops for a model at some settings, from the closest to the fastest.

    Attributes:
        costs: the stops.
        measured: on what the closeness was measured, in words.
        holds: whether that is this model at these settings; elsewhere no closeness is promised.
        usual: the recommended stop at the settings that were measured, where every visit begins.
    """

    costs: Sequence[Cost]
    measured: str
    holds: bool
    usual: str

    @property
    def recommended(self) -> Cost:
        return next(cost for cost in self.costs if cost.recommended)

    def nearest(self, name: str) -> Cost:
        """The stop of this name, or the nearest where the settings have changed since.

        "" is the recommended one, and so is what was recommended before, unless there is such a stop.
        """
        if not name or (name == self.usual and name not in [cost.name for cost in self.costs]):
            return self.recommended
        wanted = float(name.removesuffix("x"))
        return min(self.costs, key=lambda cost: (cost.name != name, abs(cost.less_work - wanted)))


def closeness(psnr: float) -> str:
    """How close an image is to that of the full run, in words."""
    return next((words for least, words in WORDS if psnr >= least), FARTHEST)


def slider_for(settings: Settings, task: str, family: str) -> Slider:
    """The stops that there are for an order.

    Args:
        settings: calibrated plans are for their own number of steps, guidance and sampler.
        task: what is generated.
        family: of the presets.
    """
    one, own = record_of(task, settings.model, family)
    same = (
        settings.sampler == OWN_SAMPLER
        and settings.steps == one["steps"]
        and settings.guidance == one["guidance"]
    )
    holds = own and same
    measured = [plan for plan in one["plans"] if "#" not in plan["plan"] or own]
    usual = next(cost.name for cost in best(measured) if cost.recommended)
    plans = [plan for plan in measured if "#" not in plan["plan"] or holds]
    if settings.steps != one["steps"]:
        plans = [plan | {"less_work": less_work_at(settings.steps, plan, one, family)} for plan in plans]
    return Slider(tuple(best(plans)), words_of(one, own), holds, usual)


def less_work_at(steps: int, plan: Mapping[str, Any], one: Mapping[str, Any], family: str) -> float:
    """How many times less work a plan takes at another number of steps than it was measured at.

    The share of a cached step is that of the measured run; how many steps are full, the plan says.
    """
    made, measured = find_plan(plan["plan"], family), one["steps"]
    full = len(full_steps(made, measured))
    share = (measured / plan["less_work"] - full) / (measured - full)
    full = len(full_steps(made, steps))
    return float(steps / (full + (steps - full) * share))


def record_of(task: str, model: str, family: str) -> tuple[dict[str, Any], bool]:
    """What was measured of a model, and True; else of a model with the same presets, and False."""
    for one in stored():
        if (one["task"], one["model"]) == (task, model):
            return one, True
    kin = [one for one in stored() if one["family"] == family] or [
        one for one in stored() if one["family"] == IMAGE
    ]
    return kin[0], False


def words_of(one: Mapping[str, Any], own: bool) -> str:
    """On what closeness was measured."""
    kind = "clips" if find_task(one["task"]).generates_video else "images"
    where = f"{one['prompts']} {kind} at {one['steps']} steps, guidance {one['guidance']:g}"
    return where if own else f"{where}, of a shipped miniature"


def best(plans: Sequence[Mapping[str, Any]]) -> Iterator[Cost]:
    """The plans that no other beats in both cost and closeness, from the closest to the fastest.

    Of two that cost the same when rounded, the closer one.
    """
    usual = next(plan for plan in plans if plan["plan"] == USUAL)
    kept = [
        plan
        for plan in plans
        if not any(
            other["less_work"] >= plan["less_work"] and other["psnr"] >= plan["psnr"] and other is not plan
            for other in plans
        )
    ]
    kept.sort(key=lambda plan: plan["less_work"])
    close = [plan for plan in kept if plan["psnr"] >= usual["psnr"]]
    close = [plan for plan in close if plan["psnr"] >= UNSEEN] or close
    safe = [plan for plan in close if plan["worst"] >= usual["worst"]]
    chosen = max(safe or close, key=lambda plan: plan["less_work"])
    costs: dict[str, Cost] = {}
    for plan in kept:
        name = f"{round(plan['less_work'], 1):g}x"
        cost = Cost(name, plan["plan"], plan["less_work"], plan["psnr"], plan["worst"], plan is chosen)
        same = costs.setdefault(name, cost)
        costs[name] = replace(same, recommended=same.recommended or cost.recommended)
    yield from costs.values()


@cache
def stored() -> list[dict[str, Any]]:
    """What `measure_costs` has written."""
    return list(json.loads(FILE.read_text(encoding="utf-8"))["measured"])
