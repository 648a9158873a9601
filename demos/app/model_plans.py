"""The plans and branches of a model for a task, found without loading the model where they can be known."""

from functools import cache
from typing import Any, NamedTuple

from mmcache.api.plan_choice import families
from mmcache.api.resolved_pipeline import resolve
from mmcache.architectures.adapter import Adapter, default_plan
from mmcache.architectures.registry import adapters
from mmcache.plans.plan import Plan
from mmcache.plans.presets import IMAGE
from mmcache.tools.inspecting.from_config import denoisers_from_config
from mmcache.tools.tasks.tasks import Task
from mmcache_demos import SHIPPED, WHOLE, miniature_folder
from mmcache_demos.app.models import Models, miniature_of

DENOISERS = ("unet", "transformer")
MOST_BRANCHES = 12  # of Stable Diffusion's U-Net; what a model does not have, it refuses
USUAL_DENOISER = "UNet2DConditionModel"  # of the miniatures that bring none of their own


class Known(NamedTuple):
    """What is known of a model for a task.

    Attributes:
        adapter: of its denoiser.
        family: whose presets were measured for it; "" if none were.
    """

    adapter: Adapter
    family: str


def known(models: Models, task: Task, name: str) -> Known | None:
    """What is known of a model.

    Args:
        models: those in memory.
        task: what is drawn.
        name: of the model.

    Returns:
        None for a model that is not in memory, and not one that is shipped.
    """
    if miniature := miniature_of(task, name):
        own = SHIPPED[miniature].parts
        kind = next((own[role].kind for role in DENOISERS if role in own), USUAL_DENOISER)
        adapter = next(adapter for adapter in adapters() if kind in adapter.denoisers)
        return Known(adapter, adapter.tasks.get(task.argument, adapter.family))
    pipe: Any = models.loaded(task, name)
    if pipe is None:
        return None
    pipeline = resolve(pipe)
    name, family = next(iter(families(pipeline).items()))
    return Known(pipeline.denoisers[name].adapter, family)


def recommended_plan(models: Models, task: Task, name: str) -> Plan | None:
    """The plan that "recommended" stands for; None where `known` knows nothing."""
    found = known(models, task, name)
    return default_plan(*found) if found else None


def family_for(models: Models, task: Task, name: str) -> str:
    """Whose presets a preset's name stands for."""
    found = known(models, task, name)
    return found.family or found.adapter.fallback_presets if found else IMAGE


def deepest_branch(models: Models, task: Task, name: str) -> int:
    """The deepest branch that can be chosen: of the model, where it is shipped or in memory."""
    found = known(models, task, name)
    if found is None:
        return MOST_BRANCHES - 1
    if miniature := miniature_of(task, name):
        return shipped_branches(miniature) - 1
    denoiser = next(iter(resolve(models.loaded(task, name)).denoisers.values()))
    return found.adapter.branches(denoiser.model) - 1


@cache
def shipped_branches(miniature: str) -> int:
    """How many branches a shipped model has; its config says so, no weight is read."""
    own = any(role in DENOISERS for role in SHIPPED[miniature].parts)
    model = next(iter(denoisers_from_config(miniature_folder(miniature if own else WHOLE)).values()))
    adapter = next(adapter for adapter in adapters() if type(model).__name__ in adapter.denoisers)
    return adapter.branches(model)
