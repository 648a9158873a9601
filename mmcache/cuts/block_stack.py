"""The cut of a stack of blocks without skip connections: head and tail run, the deep part does not.

The blocks are residual: each adds to the streams (hidden states) that it is given. So a cached step takes
what left the deep part at the last full step, and adds by how much what enters it has changed since (the
cached residual of Delta-DiT, arXiv 2406.01125, and TeaCache, arXiv 2411.19108, in a form that gives back
a full step's output bit for bit). The list keeps its length: the first deep block becomes an `Enter`, the
last a `Rejoin`, those between pass their streams on.
"""

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mmcache.cuts.cut import Cut, Feature, Mark, Slot, Tap, check_branch, swap_child


@dataclass(frozen=True)
class BlockStack:
    """Where a model class keeps its blocks, and what they hand on.

    Attributes:
        blocks: the list.
        entrance: a child that every call runs, with the hidden state as its first argument.
        streams: the arguments of a block that it hands on, in the order in which it returns them.
        group: how many entries of the list make one layer.
        ends: how many layers stay at either end of the list at branch 0; 0 where the model itself has
            layers before and behind the stack.
    """

    blocks: str
    entrance: str
    streams: tuple[str, ...] = ("hidden_states",)
    group: int = 1
    ends: int = 1

    def branches(self, model: nn.Module) -> int:
        """How many branches the model has: branch b keeps `ends` + b layers at either end."""
        layers = len(getattr(model, self.blocks)) // self.group
        return max(0, (layers - 1) // 2 - self.ends + 1)

    def cut(self, model: nn.Module, branch: int) -> Cut:
        """Cut at `branch`: 0 keeps the fewest layers.

        Raises:
            ValueError: the model has no such branch.
        """
        check_branch(model, branch, self.branches(model))
        blocks = list(getattr(model, self.blocks))
        kept = (self.ends + branch) * self.group
        deep = blocks[kept : len(blocks) - kept]
        slot, tap = Rejoin(self._places(deep[-1])), Tap(f"mmcache.branch{branch}")
        between = [PassThrough(self._places(block)) for block in deep[1:-1]]
        first = [Enter(self._places(deep[0]), slot)] if len(deep) > 1 else []
        short = [*blocks[:kept], *first, *between, slot, *blocks[len(blocks) - kept :]]
        inputs = [(len(self.streams) + i, *place) for i, place in enumerate(self._places(deep[0]))]
        mark = Mark(getattr(model, self.entrance))
        return Cut(
            branch,
            (swap_child(model, self.blocks, nn.ModuleList(short)),),
            slot,
            tap,
            (*tap.on_input(deep[0], *inputs), *tap.on_output(deep[-1], len(self.streams))),
            (mark, swap_child(model, self.entrance, mark)),
            dict,
            tuple(blocks),
        )

    def _places(self, block: nn.Module) -> tuple["Place", ...]:
        """The streams as arguments of this block."""
        own = getattr(block, "_orig_mod", block)  # where a block is compiled by itself
        names = list(inspect.signature(type(own).forward).parameters)[1:]
        return tuple((name, names.index(name)) for name in self.streams)


Place = tuple[str, int]
"""An argument, by its keyword and its place among the positional ones."""


def given(places: tuple[Place, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Feature:
    """The streams of a call."""
    return tuple(kwargs[name] if name in kwargs else args[place] for name, place in places)


def handed_on(streams: Feature) -> torch.Tensor | Feature:
    """As a block returns its streams: a tensor where there is one, else a tuple."""
    return streams[0] if len(streams) == 1 else streams


class PassThrough(nn.Module):
    """Stands where a block of the deep part stood."""

    def __init__(self, places: tuple[Place, ...]) -> None:
        super().__init__()
        self.places = places

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor | Feature:
        return handed_on(given(self.places, args, kwargs))


class Rejoin(Slot):
    """Stands where the last block of the deep part stood, and returns what it would have returned.

    The feature is what left the deep part and then what entered it, stream by stream.
    """

    def __init__(self, places: tuple[Place, ...]) -> None:
        super().__init__()
        self.places = places
        self.entered: Feature = ()

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor | Feature:  # type: ignore[override]
        _ = self.taps == ""  # as in any slot
        entered, self.entered = self.entered, ()
        entered = entered or given(self.places, args, kwargs)  # alone, it is the first deep block as well
        left, before = self.feature[: len(entered)], self.feature[len(entered) :]
        # In this order: on an unchanged input the difference is 0 and what left is returned exactly.
        return handed_on(
            tuple(out + (now - then) for out, now, then in zip(left, entered, before, strict=True))
        )


class Enter(nn.Module):
    """Stands where the first deep block stood: notes what enters, before a side network adds to it."""

    def __init__(self, places: tuple[Place, ...], slot: Rejoin) -> None:
        super().__init__()
        self.places, self.slot = places, slot

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor | Feature:
        self.slot.entered = given(self.places, args, kwargs)
        return handed_on(self.slot.entered)
