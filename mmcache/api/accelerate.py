"""`mmcache.accelerate(pipe)`: the whole interface for most people."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import nn

from mmcache.api.bindings import Bindings
from mmcache.api.checks import (
    check_alone,
    check_clock,
    check_fits,
    check_one_decision,
    check_other_caches,
    check_repeats,
)
from mmcache.api.notes import (
    Note,
    borrowed_presets,
    inferred_adapters,
    other_calibrations,
    uncached_denoisers,
)
from mmcache.api.plan_choice import PlanChanges, PlanLike, choose_plans, families
from mmcache.api.resolved_pipeline import find_denoisers, resolve
from mmcache.api.session import Session, session_of
from mmcache.clocks.clock import Clock
from mmcache.clocks.pipeline_clock import PipelineClock
from mmcache.clocks.timestep_clock import TimestepClock
from mmcache.errors import shown
from mmcache.plans.forecast import Forecast
from mmcache.plans.policy import Policy


def accelerate(
    pipe: Any,
    plan: PlanLike | Mapping[str, PlanLike] | None = None,
    *,
    interval: int | None = None,
    policy: Policy | None = None,
    forecast: Forecast | None = None,
    branch: int | str | None = None,
    scheduler: Any = None,
    shared: bool = False,
) -> Session:
    """Cache a pipeline's deep features between sampling steps.

    The pipe keeps its class, signature and behaviour; only its denoisers do less on some steps, and
    ControlNets only what these steps use of them. Of several denoisers (a prior and a decoder, say) each
    follows the scheduler that drives it. An accelerated pipe that is accelerated again gets the new plan in
    place of the old one. Kept features are dropped with the last step; those of a run that is stopped before,
    with the next run or `restore`.

    Pipelines that share a denoiser may sample in any number of threads: `clone_pipeline` makes one for each.
    Each is accelerated by itself, which takes less than a millisecond once one was, or all by one session
    (`shared`).

    Args:
        pipe: a diffusers pipeline, or a bare denoiser that someone's own loop calls.
        plan: a `Plan`, the name of a preset ("fast"), or the path of a plan file. Without it, and
            without options, the default plan of the architecture and task. For a pipeline with several
            denoisers also one for each, by its name; those that are not named get their default plan.
        interval: run a full step every so many steps; short for `policy=Uniform(interval)`.
        policy: which steps are full, in place of the plan's.
        forecast: what a cached step gets, in place of the plan's.
        branch: which skip connections stay on a cached step, in place of the plan's; "none" runs no layer.
        scheduler: for a bare denoiser, the diffusers scheduler of the loop, as its clock.
        shared: also accelerate every other pipeline that calls the same denoiser, at its first call, as if
            `accelerate` had been called on it with the same arguments. The session then pauses, restores,
            reports and sums up all of them; it lasts as long as `pipe`.

    Returns:
        The `Session`: `report()`, `enabled`, `restore()`, and a context manager that restores. It keeps no
            pipeline alive.

    Raises:
        UnsupportedPipelineError: no denoiser that mmcache knows, or nothing to gain: the denoiser has no deep
            part, or the pipeline samples in one step unless told otherwise and no plan is given.
        PlanFileError: no such preset or file, or not a plan.
        ValueError, TypeError: an option that is unknown or wrong, a branch that the model does not have.
            Whatever is raised, the pipe is untouched.
    """
    changes = PlanChanges(interval, policy, forecast, branch)
    if not isinstance(shared, bool):
        raise TypeError(f"accelerate(shared={shown(shared)}): wanted True or False")
    if shared and isinstance(pipe, nn.Module):
        raise TypeError("accelerate(model, shared=True): wanted a pipeline, of whose parts others are made")
    session = begin_session(pipe, plan, changes, scheduler)
    if shared:
        session.share(partial(begin_member, plan=plan, changes=changes))
    return session


def begin_member(pipe: Any, plan: Any, changes: PlanChanges) -> Session:
    """The session of a pipeline that calls a denoiser of a shared session."""
    if isinstance(plan, Mapping):
        plan = {name: one for name, one in plan.items() if name in find_denoisers(pipe)}
    return begin_session(pipe, plan, changes)


def begin_session(pipe: Any, plan: Any, changes: PlanChanges, scheduler: Any = None) -> Session:
    """Check everything, then put it in place; raises as `accelerate` does."""
    pipeline = resolve(pipe, scheduler)
    if scheduler is not None and not pipeline.is_bare and scheduler not in pipeline.schedulers:
        raise TypeError(
            f"accelerate(pipe, scheduler={shown(scheduler)}): a {type(pipe).__name__} has its own: set "
            f"pipe.scheduler, or accelerate the denoiser alone, accelerate(pipe.unet, scheduler=...)"
        )
    plans = choose_plans(plan, pipeline, changes)
    check_fits(plans, pipeline)
    check_clock(plans, pipeline)
    check_alone(pipeline)
    check_other_caches(pipeline)
    check_one_decision(plans, pipeline)
    check_repeats(pipeline, default_plan=plan is None and not changes)

    inferred = inferred_adapters(pipeline)
    notes = [
        *([] if inferred else uncached_denoisers(pipe, pipeline.denoisers)),
        *inferred,
        *borrowed_presets(plan, pipeline, families(pipeline)),
        *other_calibrations(plans, pipeline),
    ]
    clock: Clock = TimestepClock() if pipeline.is_own_loop else PipelineClock(pipeline.clock_owner)
    try:
        bindings = Bindings(pipe, plans, clock, pipeline.denoisers)
    except BaseException:
        clock.release()
        raise
    if old := session_of(pipe):
        notes.append(Note("replaced_plan", f"replaces the plan {old.plan}"))
        old.restore()
    session = Session(pipe, plans, notes, bindings)
    session.place()
    return session


def restore(pipe: Any) -> None:
    """Undo every acceleration of a pipe (or bare denoiser); on one that has none it does nothing."""
    if session := session_of(pipe):
        session.restore()
