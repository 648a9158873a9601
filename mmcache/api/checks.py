"""What `accelerate` refuses, and with which words: nothing is touched before all of this has passed."""

from collections.abc import Mapping

from torch import nn

from mmcache.api.resolved_pipeline import ResolvedPipeline, missing_adapter
from mmcache.api.session import Session
from mmcache.compat.other_caches import other_cache
from mmcache.compat.spread_models import wrapped_layers
from mmcache.engine.processes import split_decision
from mmcache.errors import UnsupportedPipelineError
from mmcache.patching.forward_patch import forward_patches
from mmcache.plans.plan import Plan

# By an argument of a pipeline's call that shows it.
STEPS_THAT_DO_NOT_FOLLOW_EACH_OTHER: Mapping[str, str] = {
    "parallel": "computes many steps in one call of its denoiser, so none of them can reuse what another one "
    "has computed: use another pipeline of the same models, or no cache",
    "ar_step": "gives every frame a noise level of its own (diffusion forcing), so its scheduler does not "
    "show where sampling stands. Accelerate a pipeline that denoises all frames together, such as "
    "SkyReelsV2Pipeline, with the same weights",
}

Plans = Mapping[str, Plan]


def check_fits(plans: Plans, pipeline: ResolvedPipeline) -> None:
    """Refuse a model without a part that could be left out, and a branch that a model does not have."""
    for name, part in pipeline.denoisers.items():
        if why := wrapped_layers(part.model):
            raise UnsupportedPipelineError(f"{name} {why}.")
        if part.adapter.undescribed and plans[name].cut_branches:
            raise missing_adapter(pipeline.owner)
        if part.branches == 0 and (plans[name].cut_branches or not part.adapter.output_alone):
            raise UnsupportedPipelineError(f"{name} ({part.class_name}) {part.adapter.refused}")
        for branch in plans[name].cut_branches:
            try:
                part.check_branch(branch)
            except ValueError as error:
                several = f" Give each denoiser its plan: accelerate(pipe, {{{name!r}: Plan(...), ...}})."
                raise ValueError(
                    f"{name}: {error}.{several if len(pipeline.denoisers) > 1 else ''}"
                ) from None


def check_clock(plans: Plans, pipeline: ResolvedPipeline) -> None:
    """Refuse what has no clock, and a plan that needs the number of steps where nobody can know it."""
    if pipeline.schedulers:
        return
    scheduler = getattr(pipeline.clock_owner, "scheduler", None)
    if scheduler is None and not pipeline.is_bare:
        raise UnsupportedPipelineError(
            f"{pipeline.class_name} has no scheduler, so nothing shows where sampling stands: it steps by "
            f"itself, perhaps with fresh noise each time. Run it without a cache, or call its denoiser in a "
            f"loop with a scheduler, accelerate(denoiser, scheduler=scheduler)."
        )
    if scheduler is not None or not pipeline.is_bare:
        raise UnsupportedPipelineError(
            f"the scheduler of {pipeline.class_name} is a {type(scheduler).__name__}, which has no "
            f"set_timesteps and step to tell the sampling steps by: use one of diffusers' schedulers."
        )
    for part in pipeline.denoisers.values():
        if part.adapter.timestep is None:
            raise ValueError(
                f"{part.class_name} is not told the timestep, so nothing shows where sampling stands: pass "
                f"the scheduler of your loop, accelerate(model, scheduler=scheduler)."
            )
    for plan in plans.values():
        if plan.needs_total:
            raise ValueError(
                f"the plan ({plan}) needs to know the number of steps, and the timesteps alone do not tell "
                f"it: pass the scheduler of your loop, accelerate(model, ..., scheduler=scheduler)."
            )


def check_repeats(pipeline: ResolvedPipeline, default_plan: bool) -> None:
    """Refuse what computes its steps at once, and, under the default plan, what has one step by default."""
    parameters = pipeline.call_parameters
    for argument, reason in STEPS_THAT_DO_NOT_FOLLOW_EACH_OTHER.items():
        if argument in parameters:
            raise UnsupportedPipelineError(f"{pipeline.class_name} {reason}.")
    steps = parameters.get("num_inference_steps")
    if default_plan and steps is not None and steps.default == 1:
        raise UnsupportedPipelineError(
            f"{pipeline.class_name} samples in one step unless told otherwise, so there is no step before "
            f"from which anything could be reused. If you take more, say so: accelerate(pipe, interval=2)."
        )


def check_alone(pipeline: ResolvedPipeline) -> None:
    """Refuse a denoiser that would be accelerated both by itself and as part of a pipeline."""
    for name, part in pipeline.denoisers.items():
        patches = (*forward_patches(part.module), *forward_patches(part.model))
        sessions = {id(patch.owner): patch.owner for patch in patches if isinstance(patch.owner, Session)}
        for session in sessions.values():
            bare = pipeline.is_bare or isinstance(session.owner, nn.Module)
            if bare and session.owner is not pipeline.owner:
                raise ValueError(
                    f"{name} is already accelerated on behalf of a {type(session.owner).__name__}: call "
                    f"mmcache.restore() on that first."
                )


def check_other_caches(pipeline: ResolvedPipeline) -> None:
    """Refuse a denoiser with another cache on it: each would take the other's steps for full ones."""
    for name, part in pipeline.denoisers.items():
        if found := other_cache(part.model, part.seen):
            raise UnsupportedPipelineError(f"{name}: {found}")


def check_one_decision(plans: Plans, pipeline: ResolvedPipeline) -> None:
    """Refuse a plan that looks at data of a model spread over processes: each sees its own part of it.

    One would run a step in full and another not, and wait for it for ever.
    """
    for name, part in pipeline.denoisers.items():
        if why := split_decision(part.model, plans[name]):
            raise UnsupportedPipelineError(f"{name} {why}.")
