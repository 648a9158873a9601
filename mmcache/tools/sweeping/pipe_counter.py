"""What a run without a session costs: calls and multiply-adds of every denoiser and side network."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn

from mmcache.api.report import sum_or_none
from mmcache.api.resolved_pipeline import find_denoisers, find_side_networks
from mmcache.patching.forward_patch import patch_forward, unwrap_compiled
from mmcache.tools.comparison.call_counter import CallCounter


@dataclass(frozen=True)
class PipeCounter:
    """The counters of a pipeline's denoisers, and of the networks beside them."""

    denoisers: tuple[CallCounter, ...]
    side_networks: tuple[CallCounter, ...]

    def take(self) -> tuple[int, int | None]:
        """Denoiser calls, and multiply-adds of all models, since the last time this was asked."""
        counters = (*self.denoisers, *self.side_networks)
        calls = sum(counter.calls.total() for counter in self.denoisers)
        macs = sum_or_none([counter.macs() for counter in counters])
        for counter in counters:
            counter.calls.clear()
        return calls, macs


@contextmanager
def counted(pipe: Any) -> Iterator[PipeCounter]:
    """Count what the models of a pipeline do within the block."""
    with ExitStack() as undo:

        def counter_of(model: nn.Module) -> CallCounter:
            counter = CallCounter()
            undo.callback(
                patch_forward(unwrap_compiled(model), counter.around(unwrap_compiled(model)), owner=counter)
            )
            return counter

        def counters(parts: Iterable[Any]) -> tuple[CallCounter, ...]:
            return tuple(counter_of(part.model) for part in parts)

        yield PipeCounter(
            counters(find_denoisers(pipe).values()), counters(find_side_networks(pipe).values())
        )
