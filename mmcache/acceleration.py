"""`mmcache.accelerate(pipe)`: the whole interface for most people."""

from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from diffusers import DiffusionPipeline
from torch import nn

from mmcache.adapter import Adapter
from mmcache.clock import Clock
from mmcache.errors import UnsupportedPipelineError, unknown_name
from mmcache.forecast import Forecast
from mmcache.plan import Plan
from mmcache.plan_file import find_plan
from mmcache.policy import Policy, Uniform
from mmcache.registry import adapter_for, denoiser_names
from mmcache.scheduler_clock import SchedulerClock
from mmcache.session import Session, session_of
from mmcache.shadow import own_model, shadows
from mmcache.timestep_clock import TimestepClock

OPTIONS = ("interval", "policy", "forecast", "branch", "scheduler")


def accelerate(pipe: Any, plan: Plan | str | Path | None = None, **options: Any) -> Session:
    """Cache a pipeline's deep features between sampling steps.

    The pipe keeps its class, signature and behaviour; only its denoiser does less on some steps. An
    accelerated pipe that is accelerated again gets the new plan in place of the old one. Kept features are
    dropped with the last step; those of a run that is stopped before, with the next run or `restore`.

    Args:
        pipe: a diffusers pipeline, or a bare denoiser that someone's own loop calls.
        plan: a `Plan`, the name of a preset ("fast"), or the path of a plan file. Without it, and
            without options, the default plan of the architecture.
        **options: the short form of a plan, or changes to the given one: `interval=3` for
            `policy=Uniform(3)`, or `policy=`, `forecast=`, `branch=`. For a bare denoiser also
            `scheduler=`, the diffusers scheduler of the loop, as its clock.

    Returns:
        The `Session`: `report()`, `enabled`, `restore()`, and a context manager that restores.

    Raises:
        UnsupportedPipelineError: no denoiser that mmcache knows.
        PlanFileError: no such preset or file, or not a plan.
        ValueError, TypeError: an option that is unknown or wrong, a branch that the model does not have.
            Whatever is raised, the pipe is untouched.
    """
    for name in options:
        if name not in OPTIONS:
            raise TypeError("accelerate(): " + unknown_name("option", name, OPTIONS))
    scheduler = options.pop("scheduler", None)
    denoisers = find_denoisers(pipe)
    chosen = choose_plan(plan, next(iter(denoisers.values()))[1], options)
    check_fits(chosen, denoisers)
    clock_owner: Any = pipe if isinstance(pipe, DiffusionPipeline) else SimpleNamespace(scheduler=scheduler)
    check_clock(chosen, pipe, clock_owner)

    check_alone(pipe, denoisers)

    notes = []
    if old := session_of(pipe):
        notes.append(f"replaces the plan {old.plan}")
        old.restore()
    clock: Clock = TimestepClock() if clock_owner.scheduler is None else SchedulerClock(clock_owner)
    session = Session(pipe, chosen, clock, notes)
    with ExitStack() as undo:
        undo.callback(session.restore)
        for name, (model, adapter) in denoisers.items():
            session.bind(name, model, adapter)
        undo.pop_all()
    if isinstance(clock, SchedulerClock):
        clock.on_run = session.rebind
    return session


def restore(pipe: Any) -> None:
    """Undo every acceleration of a pipe (or bare denoiser); on one that has none it does nothing."""
    if session := session_of(pipe):
        session.restore()


def find_denoisers(pipe: Any) -> dict[str, tuple[nn.Module, Adapter]]:
    """The parts of a pipe that an adapter describes, by name.

    Raises:
        UnsupportedPipelineError: there is none.
    """
    known = ", ".join(denoiser_names())
    if isinstance(pipe, nn.Module):
        adapter = adapter_for(own_model(pipe))
        if adapter is None:
            raise UnsupportedPipelineError(
                f"{type(own_model(pipe)).__name__} is no denoiser that mmcache knows (it knows {known}). "
                f"To add one, see adapters/README.md."
            )
        return {"denoiser": (pipe, adapter)}
    if not isinstance(pipe, DiffusionPipeline):
        raise UnsupportedPipelineError(
            f"accelerate() wants a diffusers pipeline or a denoiser, not {type(pipe).__name__}: "
            f"pass the object that you call with a prompt, such as StableDiffusionPipeline.from_pretrained()"
        )
    parts_of: Any = pipe  # its loader replaces the class when it is imported, so it has no type
    models = {name: part for name, part in parts_of.components.items() if isinstance(part, nn.Module)}
    found = {name: (model, adapter_for(own_model(model))) for name, model in models.items()}
    denoisers = {name: (model, adapter) for name, (model, adapter) in found.items() if adapter is not None}
    if not denoisers:
        parts = ", ".join(f"{name} ({type(model).__name__})" for name, model in models.items()) or "no models"
        raise UnsupportedPipelineError(
            f"{type(pipe).__name__} has no denoiser that mmcache knows: it has {parts}; mmcache knows "
            f"{known}. To add one, see adapters/README.md."
        )
    return denoisers


def choose_plan(plan: Any, adapter: Adapter, options: dict[str, Any]) -> Plan:
    """The plan that was asked for, with the options that were given beside it."""
    if plan is not None and not isinstance(plan, Plan | str | Path):
        raise TypeError(
            f"accelerate(pipe, {plan!r}): the plan must be a mmcache.Plan, a preset's name or a file's path"
        )
    base = find_plan(plan) if isinstance(plan, str | Path) else plan or adapter.default_plan
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


def check_fits(plan: Plan, denoisers: dict[str, tuple[nn.Module, Adapter]]) -> None:
    """Refuse a branch that a model does not have, before anything is changed."""
    for model, adapter in denoisers.values():
        for branch in plan.branches:
            adapter.cut(own_model(model), branch)


def check_clock(plan: Plan, pipe: Any, owner: Any) -> None:
    """Refuse what has no clock, and a plan that needs the number of steps where nobody can know it."""
    scheduler = getattr(owner, "scheduler", None)
    drives = hasattr(scheduler, "set_timesteps") and hasattr(scheduler, "step")
    if not drives and (scheduler is not None or isinstance(pipe, DiffusionPipeline)):
        raise UnsupportedPipelineError(
            f"the scheduler of {type(pipe).__name__} is {type(scheduler).__name__}, which has no "
            f"set_timesteps and step to tell the sampling steps by: use one of diffusers' schedulers"
        )
    if scheduler is None and (plan.policy.needs_total or isinstance(plan.branch, tuple)):
        raise ValueError(
            f"the plan ({plan}) needs to know the number of steps, and the timesteps alone do not tell it: "
            f"pass the scheduler of your loop, accelerate(model, ..., scheduler=scheduler)"
        )


def check_alone(pipe: Any, denoisers: dict[str, tuple[nn.Module, Adapter]]) -> None:
    """Refuse a denoiser that would be accelerated both by itself and as part of a pipeline."""
    for name, (model, _) in denoisers.items():
        owners = [shadow.owner for shadow in (*shadows(model), *shadows(own_model(model)))]
        for other in (owner for owner in owners if isinstance(owner, Session) and owner.owner is not pipe):
            if isinstance(pipe, nn.Module) or isinstance(other.owner, nn.Module):
                raise ValueError(
                    f"{name} is already accelerated on behalf of a {type(other.owner).__name__}: "
                    f"call mmcache.restore() on that first"
                )
