"""What one sampling run remembers. New for every run, so nothing can be left over from another."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from mmcache.clocks.clock import StepClock
from mmcache.compat.group_offload import KeptGroups, kept_groups
from mmcache.engine.record import CallRecord
from mmcache.layouts.cut import Cut
from mmcache.macs.count import is_store
from mmcache.plans.forecast import Feature, Forecast, Observation


def signature(call: dict[str, Any]) -> Hashable:
    """What everything that a denoiser is called with looks like: its features fit no other call."""
    return tuple(looks(leaf) for leaf in tree_leaves(call))


def looks(leaf: Any, depth: int = 2) -> Hashable:
    """Of a tensor its shape, type and device; of a switch or a mode how it stands; of a number, which may be
    a scale, only that it is one; of a pipeline's own store of keys and values, all this of what it has.

    Args:
        depth: how deep stores in stores are looked into; objects may refer to themselves.
    """
    if isinstance(leaf, torch.Tensor):
        return leaf.shape, leaf.dtype, leaf.device
    if leaf is None or isinstance(leaf, bool | str):
        return leaf
    if not is_store(leaf) or depth == 0:
        return type(leaf).__name__
    own = sorted(vars(leaf).items())
    return type(leaf).__name__, tuple(
        (name, tuple(looks(one, depth - 1) for one in tree_leaves(value))) for name, value in own
    )


@dataclass
class Lane:
    """One of several denoiser calls per step, and the features of its full steps, by branch."""

    step: int = -1
    signature: Hashable = None
    past: dict[int, list[Observation]] = field(default_factory=dict)

    def enter(self, step: int, signature: Hashable) -> None:
        """Begin a call. Features of another shape, or from before a step without this lane, are dropped."""
        if signature != self.signature or step != self.step + 1:
            self.past = {}
        self.step, self.signature = step, signature

    def keep(self, branch: int, time: float, feature: Feature, memory: int) -> None:
        """Add an observation; a time that a sampler repeats replaces the older one."""
        past = [seen for seen in self.past.get(branch, []) if seen.time != time]
        self.past[branch] = [*past, Observation(time, feature)][-memory:]

    def forecast(self, branch: int, clock: StepClock, forecast: Forecast) -> Feature:
        return forecast.at(clock.time, self.past[branch], clock.step)

    def tensors(self) -> Iterator[torch.Tensor]:
        for past in self.past.values():
            for observation in past:
                yield from observation.feature


@dataclass
class DenoiserChange:
    """How far the denoiser's input and output have moved since the last full step, for `Adaptive`.

    Holds three tensors of the latent's size. Judged on the first lane.

    Attributes:
        steps: how many steps ago the last full one was.
        given: the input of the step that is being decided.
    """

    steps: int = 0
    given: torch.Tensor | None = None
    full_input: torch.Tensor | None = None
    full_output: torch.Tensor | None = None
    last_output: torch.Tensor | None = None

    def seen(self, full: bool, given: torch.Tensor, returned: torch.Tensor) -> None:
        """Remember a call of the first lane."""
        self.last_output = returned.clone()
        if full:
            self.full_input, self.full_output = given.clone(), self.last_output

    def change(self) -> float:
        """The larger of the two relative changes; infinite where there is nothing to compare with."""
        if self.given is None or self.full_input is None or self.full_input.shape != self.given.shape:
            return float("inf")
        of_input = relative_change(self.given, self.full_input)
        of_output = relative_change(self.last_output, self.full_output)  # type: ignore[arg-type]
        return torch.maximum(of_input, of_output).item()

    def tensors(self) -> Iterator[torch.Tensor]:
        distinct = {id(t): t for t in (self.full_input, self.full_output, self.last_output) if t is not None}
        yield from distinct.values()


@dataclass
class Run:
    """All state of one sampling run.

    Attributes:
        conditions: what else a feature of this step depends on: which side networks are switched on.
        readers: attention processors that may be read in layers that a cached step leaves out; if there are
            any, every step is full.
    """

    number: int
    cuts: dict[int, Cut]
    readers: tuple[str, ...] = ()
    step: int = -1
    decided: bool = False
    full: bool = True
    lane: int = -1
    lanes: dict[int, Lane] = field(default_factory=dict)
    calls: list[CallRecord] = field(default_factory=list)
    shapes: dict[Hashable, dict[str, Any]] = field(default_factory=dict)
    change: DenoiserChange = field(default_factory=DenoiserChange)
    conditions: dict[tuple[str, int], tuple[bool, ...]] = field(default_factory=dict)
    kept_groups: dict[int, KeptGroups] = field(default_factory=dict)

    def groups(self, model: nn.Module, cut: Cut) -> KeptGroups:
        """What group offload needs at a cached step of this cut; looked for once."""
        if cut.branch not in self.kept_groups:
            self.kept_groups[cut.branch] = kept_groups(model, cut.shrink)
        return self.kept_groups[cut.branch]

    def drop(self) -> None:
        """Hold nothing more; what was recorded stays. A step that goes on with this run will be full."""
        self.lanes, self.change = {}, DenoiserChange()

    def bytes_held(self) -> int:
        tensors = [tensor for lane in self.lanes.values() for tensor in lane.tensors()]
        tensors += self.change.tensors()
        return sum(tensor.nbytes for tensor in tensors)


def relative_change(now: torch.Tensor, then: torch.Tensor) -> torch.Tensor:
    """L2 norm of the difference over the norm of what was: 0-d float32."""
    return (now.float() - then.float()).norm() / then.float().norm().clamp_min(1e-12)


def first_tensor(thing: Any) -> torch.Tensor:
    """The tensor that a denoiser is given or returns, with `return_dict` or without; the first of a list."""
    if isinstance(thing, torch.Tensor):
        return thing
    return first_tensor(thing.sample if hasattr(thing, "sample") else thing[0])
