"""Which plan each denoiser gets: what `accelerate` was given, presets, defaults."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmcache.api.resolved_pipeline import ResolvedPipeline
from mmcache.architectures.adapter import default_plan
from mmcache.errors import unknown_name
from mmcache.plans.forecast import DefaultForecast, Forecast
from mmcache.plans.plan import Plan
from mmcache.plans.policy import Policy, Uniform
from mmcache.plans.presets import find_plan

PlanLike = Plan | str | Path


@dataclass(frozen=True)
class PlanChanges:
    """The short form of a plan, or changes to a given one; None changes nothing.

    Raises:
        TypeError: both an interval and a policy.
    """

    interval: int | None = None
    policy: Policy | None = None
    forecast: Forecast | None = None
    branch: int | str | None = None

    def __post_init__(self) -> None:
        if self.interval is not None and self.policy is not None:
            raise TypeError(
                "accelerate(): give interval=N or policy=..., not both (interval=N means Uniform(N))."
            )

    def __bool__(self) -> bool:
        return any(value is not None for value in vars(self).values())

    def applied_to(self, plan: Plan) -> Plan:
        """The plan with these changes; as it is where there are none."""
        if not self:
            return plan
        policy = Uniform(self.interval) if self.interval is not None else self.policy
        return Plan(
            plan.policy if policy is None else policy,
            plan.forecast if self.forecast is None else self.forecast,
            plan.branch if self.branch is None else self.branch,
        )


def families(pipeline: ResolvedPipeline) -> dict[str, str]:
    """Whose presets were measured for what each denoiser does, as the arguments of the call show."""
    arguments = pipeline.task_arguments
    return {
        name: next(
            (family for task, family in part.adapter.tasks.items() if task in arguments), part.adapter.family
        )
        for name, part in pipeline.denoisers.items()
    }


def choose_plans(plan: Any, pipeline: ResolvedPipeline, changes: PlanChanges) -> dict[str, Plan]:
    """The plan of each denoiser.

    Raises:
        ValueError, TypeError, PlanFileError: an unknown denoiser, what is no plan, no such preset or file.
    """
    by_name: Mapping[str, Any] = (
        plan if isinstance(plan, Mapping) else dict.fromkeys(pipeline.denoisers, plan)
    )
    for name in by_name:
        if name not in pipeline.denoisers:
            raise ValueError("accelerate(): " + unknown_name("denoiser", name, tuple(pipeline.denoisers)))
    chosen = {}
    for name, family in families(pipeline).items():
        adapter = pipeline.denoisers[name].adapter
        given = by_name.get(name)
        base = (
            default_plan(adapter, family)
            if given is None
            else find(given, family or adapter.fallback_presets)
        )
        if pipeline.is_own_loop and not isinstance(given, Plan):
            base = without_cooldown(base)
        chosen[name] = with_forecast(changes.applied_to(base), default_plan(adapter, family).forecast)
    return chosen


def with_forecast(plan: Plan, default: Forecast) -> Plan:
    """The plan; one that names no forecast with this one."""
    return replace(plan, forecast=default) if isinstance(plan.forecast, DefaultForecast) else plan


def without_cooldown(plan: Plan) -> Plan:
    """A preset without its full steps at the end, for loops whose number of steps nobody tells."""
    if not isinstance(plan.policy, Uniform) or not plan.policy.cooldown:
        return plan
    return replace(plan, policy=replace(plan.policy, cooldown=0), evidence="")


def find(plan: Any, family: str) -> Plan:
    """A plan, or the one that a preset's name or a file's path stands for."""
    if isinstance(plan, Plan):
        return plan
    if not isinstance(plan, str | Path):
        raise TypeError(
            f"accelerate(pipe, {plan!r}): the plan must be a mmcache.Plan, a preset's name or a file's path."
        )
    return find_plan(plan, family)
