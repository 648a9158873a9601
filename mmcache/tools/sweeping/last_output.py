"""The ablation "cached feature alone": cached steps repeat the denoiser's last output, and run nothing.

DeepCache (arXiv 2312.00858) recomputes the shallow layers at every step; this shows what that is worth.
"""

from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.utils._pytree import tree_map_only

from mmcache.api.resolved_pipeline import find_denoisers
from mmcache.architectures.component import Denoiser
from mmcache.clocks.clock import Clock
from mmcache.clocks.pipeline_clock import PipelineClock
from mmcache.engine.call_signature import call_signature
from mmcache.engine.change import DenoiserChange
from mmcache.patching.forward_patch import patch_forward
from mmcache.plans.policy import Policy


class LastOutput:
    """Stands around one denoiser's forward.

    Attributes:
        repeated: how many calls were answered without the denoiser.
    """

    def __init__(self, part: Denoiser, policy: Policy, clock: Clock) -> None:
        self.part = part
        self.adapter = part.adapter
        self.policy = policy
        self.clock = clock
        self.repeated = 0
        self._run = self._step = self._lane = -1
        self._full = True
        self._kept: dict[tuple[int, Hashable], Any] = {}

    def __call__(self, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        call = self.part.bind(args, kwargs)
        timestep = self.adapter.timestep
        clock = self.clock.tick(None if timestep is None else call[timestep], call[self.adapter.sample])
        if clock is None:
            return forward(*args, **kwargs)
        if clock.run != self._run:
            self._run, self._step, self._kept = clock.run, -1, {}
        if clock.step != self._step:
            self._step, self._lane = clock.step, -1
            self._full = self.policy.is_full(clock, DenoiserChange())
        self._lane += 1
        key = self._lane, call_signature(call)
        if self._full or key not in self._kept:
            self._kept[key] = copied(forward(*args, **kwargs))
        else:
            self.repeated += 1
        return copied(self._kept[key])


def copied(result: Any) -> Any:
    """Tensors of one's own: samplers write to what they are given."""
    return tree_map_only(torch.Tensor, torch.clone, result)


@contextmanager
def repeating_last_output(pipe: Any, policy: Policy) -> Iterator[list[LastOutput]]:
    """Within the block, steps that the policy does not choose repeat the output of the last one it chose.

    Args:
        pipe: a diffusers pipeline.
        policy: one that looks at the step alone, as `Uniform` does.
    """
    clock = PipelineClock(pipe)
    with ExitStack() as undo:
        undo.callback(clock.release)
        placed = []
        for part in find_denoisers(pipe).values():
            placed.append(LastOutput(part, policy, clock))
            undo.callback(patch_forward(part.module, placed[-1], owner=placed[-1]))
        yield placed
