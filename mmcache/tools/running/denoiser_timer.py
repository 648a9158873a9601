"""How much of a pipeline's time its denoisers take, with or without caching."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from mmcache.engine.record import Stopwatch
from mmcache.patching.forward_patch import patch_forward


class DenoiserTimer:
    """Stands around denoisers' forwards and adds up the seconds, by the stopwatch of the reports."""

    def __init__(self) -> None:
        self._measured: list[Callable[[], float]] = []

    def __call__(self, forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        tensors = (leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor))
        watch = Stopwatch(next(tensors))
        result = forward(*args, **kwargs)
        self._measured.append(watch.stop())
        return result

    def take(self) -> float:
        """The seconds since the last `take`; on a GPU it waits for the device."""
        measured, self._measured = self._measured, []
        return sum(seconds() for seconds in measured)


@contextmanager
def timed(denoisers: Iterable[nn.Module]) -> Iterator[DenoiserTimer]:
    """Time the denoisers within the block.

    A session that begins within the block goes inside the timer (unless the model is compiled), so its own
    work, deciding and forecasting, is part of the seconds.
    """
    timer = DenoiserTimer()
    with ExitStack() as undo:
        for model in denoisers:
            undo.callback(patch_forward(model, timer, owner=timer))
        yield timer
