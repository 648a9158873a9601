"""The plan that an adapter recommends for a task, found without loading a model where that can be known."""

from typing import Any

from mmcache.acceleration import default_plan
from mmcache.demos import SHIPPED
from mmcache.demos.app.models import Models
from mmcache.demos.app.settings import MINIATURE
from mmcache.measuring.tasks import Task
from mmcache.parts import find_denoisers
from mmcache.plans.plan import Plan
from mmcache.registry import adapters

USUAL_DENOISER = "UNet2DConditionModel"  # of the miniatures that bring none of their own


def recommended_plan(models: Models, task: Task, name: str) -> Plan | None:
    """The plan that "recommended" stands for.

    Args:
        models: those in memory.
        task: what is drawn.
        name: of the model.

    Returns:
        None for a model that is not in memory, and not one that is shipped.
    """
    if name == MINIATURE:
        own = SHIPPED[task.miniature].parts
        kind = own["unet"].kind if "unet" in own else USUAL_DENOISER
        adapter = next(adapter for adapter in adapters() if kind in adapter.denoisers)
        return adapter.plans.get(task.argument, adapter.default_plan)
    pipe: Any = models.loaded(task, name)
    if pipe is None:
        return None
    first = next(iter(find_denoisers(pipe).values()))
    return default_plan(first.adapter, pipe)
