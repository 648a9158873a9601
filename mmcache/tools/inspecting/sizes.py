"""Which options of a size make no difference to a model: a U-Net's shape, say, follows from its config."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from torch import nn

from mmcache.api.resolved_pipeline import find_denoisers
from mmcache.architectures.example_call import Size
from mmcache.tools.inspecting.inspection import shapes

OTHER = 2  # times the size: what a model takes still, if it takes the option
OPTIONS = ("frames", "height", "width", "tokens")


def sizes_without_effect(models: Iterable[nn.Module], size: Size) -> list[str]:
    """The options that were given, and that change the call of none of these models."""
    parts = [part for model in models for part in find_denoisers(model).values()]
    calls: Any = [(part.adapter.example_call, part.model.config) for part in parts]

    def shapes_for(one: Size) -> list[Any]:
        return [dict(shapes(call.arguments(config, one))) for call, config in calls if call is not None]

    given = [name for name in OPTIONS if getattr(size, name) is not None]
    if not given or any(call is None for call, _ in calls):
        return []
    try:
        # Not against the usual size, which may be the one that was given.
        return [
            name
            for name in given
            if shapes_for(size) == shapes_for(replace(size, **{name: OTHER * getattr(size, name)}))
        ]
    except Exception:  # whatever a foreign config leads to: `inspect` says it
        return []
