"""Runs a side network (a ControlNet) no further than the coming denoiser call needs.

It stands around the network's forward and asks the caching scheduler of the denoiser what the step is
going to be. Before a cached step only the residuals of the skip branch are computed, or none where it reads
none; the others are handed over as deferred tensors, in case that the denoiser has to run whole after all. So
the result is that of running the whole network at every step, bit for bit.
"""

import functools
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from mmcache.architectures.adapter import SideAdapter
from mmcache.architectures.component import SideNetwork
from mmcache.compat.group_offload import send_back
from mmcache.compat.model_settings import ModelSettings
from mmcache.engine.caching_scheduler import CachingScheduler
from mmcache.engine.call_macs import ByBranch, MacsLater, weights_of
from mmcache.engine.call_signature import call_signature, first_tensor, wants_gradients
from mmcache.engine.callbacks import nobody
from mmcache.engine.lazy_tensor import LazyTensor, on_meta
from mmcache.engine.leaves import conditioning_of
from mmcache.engine.record import CallRecord, Stopwatch
from mmcache.engine.run import Ahead, no_residuals
from mmcache.engine.side_run import Returned, SideRun
from mmcache.engine.step import Step
from mmcache.macs.count import Smaller, count_macs, shapes_of
from mmcache.patching.forward_patch import Around, below
from mmcache.patching.view import View


class SideScheduler:
    """Drives one side network of one pipeline.

    Args:
        part: the network, and what describes it.
        denoiser_name: of the denoiser that the residuals are for.
        denoiser: gives the caching scheduler of that denoiser, as it is now.

    Attributes:
        enabled: False runs the network whole at every step, which gives the same result.
        past: what is remembered of the current or last run.
        deputy: gives what drives a call in its place; None usually.
    """

    def __init__(
        self, part: SideNetwork, denoiser_name: str, denoiser: Callable[[], CachingScheduler]
    ) -> None:
        self.part = part
        self.model = part.model
        self.adapter = part.adapter
        self.denoiser_name = denoiser_name
        self.denoiser = denoiser
        self.enabled = True
        self.past: SideRun | None = None
        self.deputy: Callable[[nn.Module], Around | None] = nobody
        self._whole = False

    def __call__(self, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Stands around the network's forward; returns what it returns."""
        deputy = self.deputy(self.model)
        if deputy is not None:
            return deputy(forward, args, kwargs)
        call = self.part.bind(args, kwargs)
        ahead = None
        if not self._whole and not wants_gradients(self.model, call):
            ahead = self.denoiser().ahead(call[self.adapter.timestep], self._sample(call))
        if ahead is None:
            return forward(*args, **kwargs)
        forward = below(forward, SideScheduler)
        try:
            return self._compute(ahead, forward, call)
        except BaseException:
            self.denoiser().callbacks.failed()  # also on Ctrl-C: nobody may come back for the run
            raise

    def _compute(self, ahead: Ahead, forward: Callable[..., Any], call: dict[str, Any]) -> Any:
        past = self._enter(ahead, call)
        form = call_signature(call)
        known = past.outputs.get(form)
        unchanged = self._unchanged(past, ahead.step)
        residuals = self._needed(ahead, known) if unchanged and self.enabled else None
        if residuals is not None and past.is_read(self.model, self.adapter, residuals):
            residuals = None
        if form not in past.shapes:
            past.shapes[form] = shapes_of(call)
        watch = Stopwatch(self._sample(call))
        result: Any = ()
        if residuals is None:
            result = forward(**call)
            past.outputs[form] = Returned(*tree_flatten(on_meta(result)))
        elif residuals:
            result = past.view(self.model, self.adapter, residuals).run(forward, call)
        else:
            send_back(self.model)
        record = CallRecord(ahead.step.clock, past.lane, residuals, False, form, watch.stop(), 0)
        past.calls.append(record)
        return result if residuals is None or known is None else self._deferred(result, known, call, record)

    def _sample(self, call: dict[str, Any]) -> torch.Tensor:
        return first_tensor(call[self.adapter.sample])

    def _needed(self, ahead: Ahead, known: Returned | None) -> int | None:
        """How many residuals have to be computed; None: all, or it is not known what there are."""
        if ahead.residuals is None or known is None:
            return None
        if ahead.residuals is no_residuals:
            return 0
        given = self.adapter.given(self.model)
        if given is None:
            return None
        residuals = ahead.residuals(given)
        return residuals if residuals is not None and residuals < known.residuals else None

    def _enter(self, ahead: Ahead, call: dict[str, Any]) -> SideRun:
        past = self.past
        if past is None or past.run is not ahead.run:
            past = self.past = SideRun(ahead.run, ModelSettings(self.model))
        past.enter(ahead.step.clock, self.model)
        strength = call.get(self.adapter.strength)
        place = self.part.name, past.lane
        ahead.step.conditions[place] = tuple(
            isinstance(leaf, torch.Tensor) or bool(leaf) for leaf in tree_leaves(strength)
        )
        leaves = conditioning_of(call, self.part.not_conditioning)
        number = ahead.run.conditioning(leaves, self.part.name)
        ahead.step.side_conditionings[place] = number, past.settings.number()
        return past

    def _unchanged(self, past: SideRun, step: Step) -> bool:
        """Whether the network is switched on, or off, and conditioned as it was in the step before."""
        place = self.part.name, past.lane
        now = step.conditions[place], step.side_conditionings[place]
        before, past.conditions[past.lane] = past.conditions.get(past.lane), now
        return before == now

    def _deferred(self, result: Any, known: Returned, call: dict[str, Any], record: CallRecord) -> Any:
        """The result with deferred tensors in place of what was not computed."""
        computed = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        device = (computed or [self._sample(call)])[0].device
        kept = computed[: record.branch]
        if self.part.is_compiled:  # CUDA graphs use the memory of their outputs again
            kept = [leaf.clone() for leaf in kept]
        whole: list[torch.Tensor] = []

        def compute(index: int) -> torch.Tensor:
            if not whole:
                whole.extend(self._run_whole(call, record))
            return whole[index]

        leaves = list(known.leaves)
        places = [index for index, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]
        for number, index in enumerate(places):
            late = functools.partial(compute, index)
            leaves[index] = kept[number] if number < len(kept) else LazyTensor(leaves[index], device, late)
        return tree_unflatten(leaves, known.structure)

    def _run_whole(self, call: dict[str, Any], record: CallRecord) -> list[torch.Tensor]:
        """Through what moves weights between devices: the network may have been offloaded since.

        Not through torch's own hooks, which have seen the deferred tensors.
        """
        watch = Stopwatch(self._sample(call))
        module = self.part.module
        self._whole = True
        try:
            leaves = tree_leaves((module if self.part.is_compiled else module.forward)(**call))
        finally:
            self._whole = False
        if self.past is not None:
            again = replace(record, branch=None, cache_miss=True, measured=watch.stop(), again=True)
            self.past.calls.append(again)
        return leaves

    def ran_whole_beside(self, calls: Sequence[CallRecord]) -> bool:
        """Whether the last run has left out nothing of the network, although denoiser calls were cached."""
        own = [] if self.past is None or not self.enabled else self.past.calls
        cached = any(call.branch is not None for call in calls)
        return cached and bool(own) and all(call.branch is None for call in own)

    @property
    def why_whole(self) -> str:
        """What there is to say of a run that has left out nothing of the network."""
        read = () if self.past is None else self.past.whole
        if read:
            return f"features of its deep layers may be read ({', '.join(read)})"
        return "cached ones need all of it"

    def macs_later(self, past: SideRun) -> MacsLater:
        """Gives the multiply-adds of a run's calls, now and when the run is over."""
        adapter, shapes = self.adapter, past.shapes

        def find(model: nn.Module, signature: Hashable, residuals: int | None) -> ByBranch:
            smaller = None if residuals is None else first_residuals(adapter, residuals)
            return {residuals: count_macs(model, shapes[signature], smaller)}

        return MacsLater(self.model, adapter.name, weights_of(self.model), 0, find)


def first_residuals(adapter: SideAdapter, residuals: int) -> Smaller:
    """What a cached step runs of a side network."""
    return lambda bare, shapes: (View(bare, adapter.cut(bare, residuals)).module, shapes)
