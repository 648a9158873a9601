"""What a cache costs on a cached call beside the layers that the call runs.

Each cached call of a run is timed beside a call, on the same input, of a copy of the model in which the
layers that the cached call leaves out are gone: what they returned once is handed out at no cost. Seconds are
CPU time of the calling thread, which other programs disturb least; so torch has to compute in that thread.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from statistics import quantiles
from typing import Any, NamedTuple

import torch
from torch import nn

from mmcache_demos.transformers.left_out import LeftOut, hooked


class Given(nn.Module):
    """Returns the same whatever it is called with."""

    def __init__(self, output: Any) -> None:
        super().__init__()
        self.output = output

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.output


@torch.no_grad()
def without(model: nn.Module, left_out: LeftOut, call: Mapping[str, Any]) -> nn.Module:
    """The model without these modules.

    Args:
        model: is changed.
        left_out: their names; "" is the model itself.
        call: the arguments of a call, for what they return.
    """
    if "" in left_out:
        return Given(model(**call))
    outputs: dict[str, Any] = {}
    with hooked(
        model.get_submodule(name).register_forward_hook(
            lambda module, args, output, name=name: outputs.update({name: output})
        )
        for name in left_out
    ):
        model(**call)
    for name, output in outputs.items():
        parent, _, child = name.rpartition(".")
        model.get_submodule(parent).register_module(child, Given(output))
    return model


class Pair(NamedTuple):
    """Seconds of a cached call, and of its layers alone."""

    call: float
    layers: float


class Overhead(NamedTuple):
    """Milliseconds of a cached call beyond its layers, over many pairs.

    Attributes:
        call: the median of a cached call.
        middle: the median of the differences.
        lower, upper: their quartiles.
    """

    call: float
    middle: float
    lower: float
    upper: float

    def __str__(self) -> str:
        return f"{self.middle:+.2f} ({self.lower:+.2f} to {self.upper:+.2f})"


def overhead_of(pairs: list[Pair]) -> Overhead:
    """Of at least two pairs."""
    beyond = [1000 * (pair.call - pair.layers) for pair in pairs]
    lower, middle, upper = quantiles(beyond, n=4, method="inclusive")
    return Overhead(1000 * quantiles([pair.call for pair in pairs], n=2)[0], middle, lower, upper)


class PairTimer:
    """Times the cached calls of a model beside their layers alone.

    The two take turns at being first, so that neither finds warmer memory more often.

    Args:
        layers: the model without what these calls leave out.
        timed: of every call of a run, whether it is one of them.
    """

    def __init__(self, layers: nn.Module, timed: list[bool]) -> None:
        self.pairs: list[Pair] = []
        self._layers, self._timed = layers, timed

    @contextmanager
    def around(self, model: nn.Module) -> Iterator[None]:
        """One run of the model."""
        call, began, before = -1, 0.0, None

        def begins(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            nonlocal call, began, before
            call, before = call + 1, None
            if self._timed[call] and len(self.pairs) % 2:
                before = self._alone(args, kwargs)
            began = time.thread_time()

        def ends(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
            seconds = time.thread_time() - began
            if self._timed[call]:
                self.pairs.append(Pair(seconds, before or self._alone(args, kwargs)))

        with hooked(
            [
                model.register_forward_pre_hook(begins, with_kwargs=True),
                model.register_forward_hook(ends, with_kwargs=True),
            ]
        ):
            yield

    def _alone(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> float:
        began = time.thread_time()
        self._layers(*args, **kwargs)
        return time.thread_time() - began
