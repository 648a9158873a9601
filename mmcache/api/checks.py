"""What `accelerate` refuses, and with which words: nothing is touched before all of this has passed."""

import inspect
from collections.abc import Mapping
from typing import Any

from diffusers import DiffusionPipeline
from torch import nn

from mmcache.api.resolved_pipeline import Denoiser
from mmcache.api.session import Session
from mmcache.clocks.pipeline_clock import own_schedulers, pipelines_of
from mmcache.compat.other_caches import other_cache
from mmcache.errors import UnsupportedPipelineError
from mmcache.patching.forward_patch import forward_patches, unwrap_compiled
from mmcache.plans.plan import Plan

# By an argument of a pipeline's call that shows it.
STEPS_THAT_DO_NOT_FOLLOW_EACH_OTHER: Mapping[str, str] = {
    "parallel": "computes many steps in one call of its denoiser, so none of them can reuse what another one "
    "has computed: use another pipeline of the same models, or no cache",
    "ar_step": "gives every frame a sampler and a noise level of its own (diffusion forcing): the pipeline's "
    "scheduler is never stepped, so nothing shows where sampling stands. The same weights in a pipeline that "
    "denoises all frames together (SkyReelsV2Pipeline, SkyReelsV2ImageToVideoPipeline) can be accelerated",
}


def arguments_of(pipe: Any) -> Mapping[str, inspect.Parameter]:
    """The arguments that a pipeline is called with.

    Raises:
        UnsupportedPipelineError: it is not called itself.
    """
    if not any("__call__" in vars(kind) for kind in type(pipe).__mro__):
        raise UnsupportedPipelineError(
            f"{type(pipe).__name__} is not called itself, but makes another pipeline of its parts for every "
            f"task: make the one that you need, and accelerate that"
        )
    return inspect.signature(type(pipe).__call__).parameters


def check_fits(plans: dict[str, Plan], denoisers: dict[str, Denoiser]) -> None:
    """Refuse a model without a part that could be left out, and a branch that a model does not have."""
    for name, (model, adapter) in denoisers.items():
        if adapter.branches(unwrap_compiled(model)) == 0:
            raise UnsupportedPipelineError(
                f"{name} ({type(unwrap_compiled(model)).__name__}) {adapter.refused}"
            )
        for branch in plans[name].branches:
            try:
                adapter.cut(unwrap_compiled(model), branch)
            except ValueError as error:
                several = f" Give each denoiser its plan: accelerate(pipe, {{{name!r}: Plan(...), ...}})."
                raise ValueError(f"{name}: {error}.{several if len(denoisers) > 1 else ''}") from None


def check_clock(plans: dict[str, Plan], pipe: Any, denoisers: dict[str, Denoiser], owner: Any) -> None:
    """Refuse what has no clock, and a plan that needs the number of steps where nobody can know it."""
    if any(own_schedulers(part) for part in pipelines_of(owner)):
        return
    scheduler = getattr(owner, "scheduler", None)
    if scheduler is not None or isinstance(pipe, DiffusionPipeline):
        raise UnsupportedPipelineError(
            f"the scheduler of {type(pipe).__name__} is {type(scheduler).__name__}, which has no "
            f"set_timesteps and step to tell the sampling steps by: use one of diffusers' schedulers"
        )
    for part in denoisers.values():
        if part.adapter.timestep is None:
            raise ValueError(
                f"{type(unwrap_compiled(part.model)).__name__} is not told the timestep, so nothing shows "
                f"where sampling stands: pass the scheduler of your loop, "
                f"accelerate(model, scheduler=scheduler)"
            )
    for plan in plans.values():
        if plan.policy.needs_total or isinstance(plan.branch, tuple):
            raise ValueError(
                f"the plan ({plan}) needs to know the number of steps, and the timesteps alone do not tell "
                f"it: pass the scheduler of your loop, accelerate(model, ..., scheduler=scheduler)"
            )


def check_repeats(pipe: Any, default_plan: bool) -> None:
    """Refuse what computes its steps at once, and, under the default plan, what has one step by default."""
    if not isinstance(pipe, DiffusionPipeline):
        return
    arguments = arguments_of(pipe)
    for argument, reason in STEPS_THAT_DO_NOT_FOLLOW_EACH_OTHER.items():
        if argument in arguments:
            raise UnsupportedPipelineError(f"{type(pipe).__name__} {reason}")
    steps = arguments.get("num_inference_steps")
    if default_plan and steps is not None and steps.default == 1:
        raise UnsupportedPipelineError(
            f"{type(pipe).__name__} samples in one step unless told otherwise, so there is no step before "
            f"from which anything could be reused. If you take more, say so: accelerate(pipe, interval=2)"
        )


def check_alone(pipe: Any, denoisers: dict[str, Denoiser]) -> None:
    """Refuse a denoiser that would be accelerated both by itself and as part of a pipeline."""
    for name, (model, _) in denoisers.items():
        owners = [
            shadow.owner for shadow in (*forward_patches(model), *forward_patches(unwrap_compiled(model)))
        ]
        for other in (owner for owner in owners if isinstance(owner, Session) and owner.owner is not pipe):
            if isinstance(pipe, nn.Module) or isinstance(other.owner, nn.Module):
                raise ValueError(
                    f"{name} is already accelerated on behalf of a {type(other.owner).__name__}: "
                    f"call mmcache.restore() on that first"
                )


def check_other_caches(denoisers: dict[str, Denoiser]) -> None:
    """Refuse a denoiser with another cache on it: each would take the other's steps for full ones."""
    for name, part in denoisers.items():
        if found := other_cache(unwrap_compiled(part.model)):
            raise UnsupportedPipelineError(f"{name}: {found}")


def check_one_decision(plans: dict[str, Plan], denoisers: dict[str, Denoiser]) -> None:
    """Refuse a plan that looks at features of a model spread over processes: each sees its own part of them.

    One would run a step in full and another not, and wait for it for ever.
    """
    for name, part in denoisers.items():
        spread = getattr(unwrap_compiled(part.model), "_parallel_config", None) is not None
        if spread and plans[name].policy.needs_change:
            raise UnsupportedPipelineError(
                f"{name} is spread over processes (enable_parallelism), and under {plans[name].policy} each "
                f"would decide by its own part of the features: take a policy that looks at the step alone, "
                f"such as Uniform(3)"
            )
