"""`mmcache.accelerate(pipe)`: the whole interface for most people."""

import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from diffusers import DiffusionPipeline
from torch import nn

from mmcache.api.checks import (
    arguments_of,
    check_alone,
    check_clock,
    check_fits,
    check_one_decision,
    check_other_caches,
    check_repeats,
)
from mmcache.api.resolved_pipeline import Denoiser, find_denoisers, guesses, unknown_denoisers
from mmcache.api.session import Session, session_of
from mmcache.architectures.adapter import Adapter, default_plan
from mmcache.clocks.clock import Clock
from mmcache.clocks.pipeline_clock import PipelineClock
from mmcache.clocks.timestep_clock import TimestepClock
from mmcache.errors import unknown_name
from mmcache.patching.forward_patch import unwrap_compiled
from mmcache.plans.forecast import Forecast
from mmcache.plans.plan import Plan
from mmcache.plans.policy import Policy, Uniform
from mmcache.plans.presets import find_plan, presets

OPTIONS = ("interval", "policy", "forecast", "branch", "scheduler")

PlanLike = Plan | str | Path


def accelerate(pipe: Any, plan: PlanLike | Mapping[str, PlanLike] | None = None, **options: Any) -> Session:
    """Cache a pipeline's deep features between sampling steps.

    The pipe keeps its class, signature and behaviour; only its denoisers do less on some steps, and
    ControlNets only what these steps use of them. Of several denoisers (a prior and a decoder, say) each
    follows the scheduler that drives it. An accelerated pipe that is accelerated again gets the new plan in
    place of the old one. Kept features are dropped with the last step; those of a run that is stopped before,
    with the next run or `restore`.

    Args:
        pipe: a diffusers pipeline, or a bare denoiser that someone's own loop calls.
        plan: a `Plan`, the name of a preset ("fast"), or the path of a plan file. Without it, and
            without options, the default plan of the architecture and task. For a pipeline with several
            denoisers also one for each, by its name; those that are not named get their default plan.
        **options: the short form of a plan, or changes to the given one: `interval=3` for
            `policy=Uniform(3)`, or `policy=`, `forecast=`, `branch=`. For a bare denoiser also
            `scheduler=`, the diffusers scheduler of the loop, as its clock.

    Returns:
        The `Session`: `report()`, `enabled`, `restore()`, and a context manager that restores.

    Raises:
        UnsupportedPipelineError: no denoiser that mmcache knows, or nothing to gain: the denoiser has no deep
            part, or the pipeline samples in one step unless told otherwise and no plan is given.
        PlanFileError: no such preset or file, or not a plan.
        ValueError, TypeError: an option that is unknown or wrong, a branch that the model does not have.
            Whatever is raised, the pipe is untouched.
    """
    for name in options:
        if name not in OPTIONS:
            raise TypeError("accelerate(): " + unknown_name("option", name, OPTIONS))
    scheduler = options.pop("scheduler", None)
    denoisers = find_denoisers(pipe)
    plans = choose_plans(plan, pipe, denoisers, options)
    check_fits(plans, denoisers)
    clock_owner: Any = pipe if isinstance(pipe, DiffusionPipeline) else SimpleNamespace(scheduler=scheduler)
    check_clock(plans, pipe, denoisers, clock_owner)

    check_alone(pipe, denoisers)
    check_other_caches(denoisers)
    check_one_decision(plans, denoisers)
    check_repeats(pipe, default_plan=plan is None and not options)

    notes = [
        *(unknown_denoisers(pipe) if not any(part.adapter.inferred for part in denoisers.values()) else []),
        *guesses(denoisers),
        *borrowed(plan, pipe, denoisers),
        *differences(plans, denoisers, getattr(clock_owner, "scheduler", None)),
    ]
    if old := session_of(pipe):
        notes.append(f"replaces the plan {old.plan}")
        old.restore()
    own_loop = not isinstance(pipe, DiffusionPipeline) and scheduler is None
    clock: Clock = TimestepClock() if own_loop else PipelineClock(clock_owner)
    session = Session(pipe, plans, clock, notes)
    with ExitStack() as undo:
        undo.callback(session.restore)
        for name, part in denoisers.items():
            session.bind(name, part)
        session.bind_side_networks()
        undo.pop_all()
    if isinstance(clock, PipelineClock):
        clock.on_run, clock.on_end = session.rebind, session.drop_early_ones
    return session


def restore(pipe: Any) -> None:
    """Undo every acceleration of a pipe (or bare denoiser); on one that has none it does nothing."""
    if session := session_of(pipe):
        session.restore()


def choose_plans(
    plan: Any, pipe: Any, denoisers: dict[str, Denoiser], options: dict[str, Any]
) -> dict[str, Plan]:
    """The plan of each denoiser."""
    given: Mapping[str, Any] = plan if isinstance(plan, Mapping) else dict.fromkeys(denoisers, plan)
    for name in given:
        if name not in denoisers:
            raise ValueError("accelerate(): " + unknown_name("denoiser", name, tuple(denoisers)))
    families = {name: family_of(part.adapter, pipe) for name, part in denoisers.items()}
    return {
        name: choose_plan(
            given.get(name),
            default_plan(part.adapter, families[name]),
            options,
            families[name] or part.adapter.fallback_presets,
        )
        for name, part in denoisers.items()
    }


def family_of(adapter: Adapter, pipe: Any) -> str:
    """Whose presets were measured for what this pipeline does, which the arguments of its call show."""
    arguments = () if isinstance(pipe, nn.Module) else arguments_of(pipe)
    return next((family for task, family in adapter.tasks.items() if task in arguments), adapter.family)


def choose_plan(plan: Any, default: Plan, options: dict[str, Any], family: str) -> Plan:
    """The plan that was asked for, with the options that were given beside it."""
    if plan is not None and not isinstance(plan, Plan | str | Path):
        raise TypeError(
            f"accelerate(pipe, {plan!r}): the plan must be a mmcache.Plan, a preset's name or a file's path"
        )
    base = find_plan(plan, family) if isinstance(plan, str | Path) else plan or default
    if "interval" in options and "policy" in options:
        raise TypeError("accelerate(): give interval=N or policy=..., not both (interval=N means Uniform(N))")
    changes = dict(options)
    if "interval" in changes:
        changes["policy"] = Uniform(changes.pop("interval"))
    if not changes:
        return base
    policy: Policy = changes.get("policy", base.policy)
    forecast: Forecast = changes.get("forecast", base.forecast)
    return Plan(policy, forecast, changes.get("branch", base.branch))


def borrowed(plan: Any, pipe: Any, denoisers: dict[str, Denoiser]) -> list[str]:
    """What there is to say where a preset is asked for by name, and none were measured for a denoiser."""
    return [
        f"{name}: the preset {asked!r} was measured for the family {part.adapter.fallback_presets!r}, and "
        f"on no {part.adapter.name}"
        for name, part in denoisers.items()
        for asked in [plan.get(name) if isinstance(plan, Mapping) else plan]
        if isinstance(asked, str) and asked in presets() and not family_of(part.adapter, pipe)
    ]


def differences(plans: dict[str, Plan], denoisers: dict[str, Denoiser], scheduler: Any) -> list[str]:
    """What there is to say of calibrated plans that were made for something else, also as a warning.

    Raises:
        ValueError: one was made for another class of models.
    """
    notes = []
    for name, plan in plans.items():
        model = unwrap_compiled(denoisers[name].model)
        if plan.made_for is None:
            continue
        if plan.made_for.denoiser != type(model).__name__:
            raise ValueError(
                f"{name} is a {type(model).__name__}, and this plan was made for a {plan.made_for.denoiser}: "
                f"make one for it with mmcache.tune(pipe, prompts, speedup=...), or take a preset"
            )
        if found := plan.made_for.differences(model, scheduler):
            notes.append(f"{name}: the plan was made for {' and '.join(found)}; it was not measured here")
            warnings.warn(notes[-1], stacklevel=3)
    return notes
