"""What is remembered of a side network's calls in one sampling run."""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.utils._pytree import TreeSpec

from mmcache.architectures.adapter import SideAdapter
from mmcache.clocks.clock import StepClock
from mmcache.compat.attention_readers import modules_that_are_read
from mmcache.compat.layer_readers import hooks_so_far, read_layers, readers
from mmcache.compat.model_settings import ModelSettings
from mmcache.engine.record import CallRecord
from mmcache.engine.run import Run
from mmcache.engine.run_views import Variant
from mmcache.patching.view import View


class Returned(NamedTuple):
    """What a whole call returned.

    Attributes:
        leaves: its tensors on the meta device; also what else there is, such as None in place of a list.
        structure: how they are put together.
    """

    leaves: list[Any]
    structure: TreeSpec

    @property
    def residuals(self) -> int:
        return sum(isinstance(leaf, torch.Tensor) for leaf in self.leaves)


@dataclass
class SideRun:
    """What is remembered of one sampling run: no tensors, only what they looked like.

    Attributes:
        run: the denoiser's.
        step: the step of the last call.
        lane: which call of that step it was.
        conditions: per lane, whether the residuals were multiplied by anything but zero, and the number of
            what the network was conditioned on.
        outputs: what whole calls returned, by signature.
        calls: what is noted of them.
        shapes: their arguments on the meta device, by signature.
        views: the network cut short, by how many residuals it computes.
        hooks: how many hooks and forwards had been put anywhere when `read` was looked for.
        read: its layers that somebody may look into, and with what.
        whole: what looks into layers that would have been left out; () if nothing does.
    """

    run: Run
    settings: ModelSettings
    step: int = -1
    lane: int = -1
    conditions: dict[int, tuple[tuple[bool, ...], tuple[int, int]]] = field(default_factory=dict)
    outputs: dict[Hashable, Returned] = field(default_factory=dict)
    calls: list[CallRecord] = field(default_factory=list)
    shapes: dict[Hashable, dict[str, Any]] = field(default_factory=dict)
    views: dict[int, Variant] = field(default_factory=dict)
    hooks: tuple[int, int] | None = None
    read: list[tuple[nn.Module, str]] = field(default_factory=list)
    whole: tuple[str, ...] = ()

    def view(self, model: nn.Module, adapter: SideAdapter, residuals: int) -> Variant:
        """The network cut short; made anew when its owner has changed what the view copies."""
        found = self.views.get(residuals)
        if found is None or not found.view.is_current():
            found = Variant(model, View(model, adapter.cut(model, residuals)), ())
            self.views[residuals] = found
        return found

    def is_read(self, model: nn.Module, adapter: SideAdapter, residuals: int) -> bool:
        """Whether somebody looks into layers that would be left out."""
        if not self.read:
            return False
        view = self.view(model, adapter, residuals).view if residuals else None
        self.whole = readers(self.read, [set(view.remaining()) if view else set()])
        return bool(self.whole)

    def enter(self, clock: StepClock, model: nn.Module) -> None:
        if clock.step == self.step:
            self.lane += 1
        else:
            self.step, self.lane = clock.step, 0
            self.settings.begin_step(clock.own_code)
        hooks = hooks_so_far(), self.settings.patches
        if hooks != self.hooks:
            self.hooks, self.read = hooks, layers_that_are_read(model)


def layers_that_are_read(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """Those that somebody may look into by a hook, a forward or an attention processor, and with what."""
    processors = [(module, "an attention processor") for module in modules_that_are_read(model)]
    return [*read_layers(model), *processors]
