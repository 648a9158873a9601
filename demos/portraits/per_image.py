"""Caches each image of a batch by full steps of its own: only the rows of images whose step is full run.

mmcache decides once for all images of a call, since they share one forward. What deciding for each image
would give is studied with this. Cuts and forecasts are mmcache's own.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import torch
from torch import nn
from torch.utils._pytree import tree_map_only

from mmcache.architectures.registry import adapter_for
from mmcache.clocks.clock import StepClock
from mmcache.engine.lanes import Lane, Origin
from mmcache.engine.run_views import RunViews
from mmcache.layouts.cut import filled
from mmcache.patching.forward_patch import patch_forward
from mmcache.plans.branch import NOTHING
from mmcache.plans.forecast import Feature, Observation
from mmcache.plans.plan import Plan


class Steps(Protocol):
    """Decides about one image."""

    def is_full(self, step: int) -> bool:
        """Whether this step is full; asked once a step, in order."""

    def seen(self, step: int, past: Sequence[Observation]) -> None:
        """What a full step has shown: the observations so far, its own last."""


class PerImage:
    """Stands around a denoiser's forward, for one run of one batch.

    Args:
        model: the denoiser, called once a step with all images, each once or twice for guidance.
        plan: its forecast and branch; its policy is not asked.
        images: decide, each about its own image.
    """

    def __init__(self, model: nn.Module, plan: Plan, images: Sequence[Steps]) -> None:
        adapter = adapter_for(model)
        assert adapter is not None
        self._plan, self._images = plan, images
        self._views = RunViews(model, adapter, plan.cut_branches)
        self._names = tuple(inspect.signature(model.forward).parameters)
        self._lanes = [Lane(Origin(None)) for _ in images]
        self._step = 0

    def __call__(self, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        arguments = dict(zip(self._names, args, strict=False)) | kwargs
        sample = arguments[self._names[0]]
        time = float(torch.as_tensor(arguments["timestep"]).max())
        numbers = range(len(self._images))
        full = [number for number in numbers if self._images[number].is_full(self._step)]
        rest = [number for number in numbers if number not in full]
        parts = []
        for some, call in ((full, self._full), (rest, self._cached)):
            if some:
                rows = self._rows(some, len(sample))
                own = partial(rows_of, rows=rows, count=len(sample))
                mine = tree_map_only(torch.Tensor, own, arguments)
                parts.append((rows, call(forward, mine, some, time)))
        self._step += 1
        whole = torch.empty(len(sample), *parts[0][1].shape[1:], dtype=parts[0][1].dtype)
        for rows, part in parts:
            whole[rows] = part
        return (whole,)

    def _rows(self, numbers: Sequence[int], rows: int) -> list[int]:
        """Those of some images: guidance puts all images into the batch, and then all of them again."""
        count = len(self._images)
        return [first + number for first in range(0, rows, count) for number in numbers]

    def _full(
        self, forward: Any, arguments: dict[str, Any], numbers: Sequence[int], time: float
    ) -> torch.Tensor:
        result: torch.Tensor = self._views.full().call(forward)(**arguments)[0]
        feature: Feature = (result,)
        for cut in self._views.cuts.values():
            feature = cut.tap.take(cut.tensors)
        sample = arguments[self._names[0]]
        for place, number in enumerate(numbers):
            own = slice(place, None, len(numbers))
            lane, kept = self._lanes[number], tuple(tensor[own].clone() for tensor in feature)
            earlier = lane.observations.get(NOTHING, [])
            self._images[number].seen(self._step, [*earlier, Observation(time, kept)])
            lane.keep(NOTHING, time, kept, self._plan.forecast, sample[own])
        return result

    def _cached(
        self, forward: Any, arguments: dict[str, Any], numbers: Sequence[int], time: float
    ) -> torch.Tensor:
        clock = StepClock(0, self._step, None, time)
        features = [self._lanes[number].forecast(NOTHING, clock, self._plan.forecast) for number in numbers]
        # Row by row of guidance, as the model gets them: (copies, images, ...) flattened.
        feature = tuple(torch.stack(part, dim=1).flatten(0, 1) for part in zip(*features, strict=True))
        for branch, cut in self._views.cuts.items():
            with filled(cut.slot, feature):
                result: torch.Tensor = self._views.cached(branch).run(forward, cut.arguments(arguments))[0]
            return result
        return feature[0]


def rows_of(tensor: torch.Tensor, rows: Sequence[int], count: int) -> torch.Tensor:
    """Some rows of what has a row for each image; anything else as it is."""
    return tensor[list(rows)] if tensor.ndim and len(tensor) == count else tensor


@contextmanager
def per_image(model: nn.Module, plan: Plan, images: Sequence[Steps]) -> Iterator[None]:
    """Within it, one run of the model caches each image by its own full steps."""
    around = PerImage(model, plan, images)
    undo = patch_forward(model, around, owner=around)
    try:
        yield
    finally:
        undo()
