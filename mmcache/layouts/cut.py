"""A cut: what a cached step leaves out of a model, what a full step keeps, and where that goes in again.

Both kinds of steps run a view of the model. In that of a cached step children are exchanged (the deep part
goes, a `Slot` with the kept feature comes in); in that of a full step there are forward hooks that keep the
feature (a `Tap`). Both are lists of `Swap`s: plain data.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn

from mmcache.patching.swap import Swap
from mmcache.patching.view import View
from mmcache.plans.forecast import Feature


class Given(NamedTuple):
    """The residuals that a side network gives.

    Attributes:
        keys: of each list of residuals, in order, what the denoiser calls them: counted from 0, or the
            numbers of the blocks that they are for.
        repeated: they are dealt out to the denoiser's blocks in turn.
    """

    keys: tuple[Sequence[int], ...]
    repeated: bool = False


class Kept:
    """What a slot hands out: shared by the slot and its copies in views.

    Attributes:
        feature: the kept feature of a cached step, while it runs.
        entered: by how much what enters a deep part has changed since the feature was kept, stream by stream.
    """

    def __init__(self) -> None:
        self.feature: Feature = ()
        self.entered: tuple[torch.Tensor | None, ...] = ()


class Slot(nn.Module):
    """Stands where the deep part stood: ignores its inputs and returns the kept feature."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = Kept()

    def fill(self, feature: Feature) -> None:
        """Hold a feature for the next call; () lets it go."""
        self.kept.feature, self.kept.entered = feature, ()

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        return self.kept.feature[0]

    def added(self, feature: Feature) -> Feature:
        """What a cached step gets from a feature: how much two of them differ for it shows in this."""
        return feature


class Tap:
    """Keeps the feature that passes a cut during a full step.

    It keeps copies: FreeU scales the hidden state in place right behind the cut, and T2I-Adapter adds to
    it in place, so a reference would be changed before it is used.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._seen: dict[int, torch.Tensor] = {}

    def keep(self, position: int, tensor: torch.Tensor | None) -> None:
        """Keep a tensor; an empty one for a stream that is not there (a video without sound).

        Nothing is kept of what is no tensor: a block that nobody described may hand on a dict.
        """
        if tensor is not None and not isinstance(tensor, torch.Tensor):
            return
        self._seen[position] = torch.empty(0) if tensor is None else tensor.detach().clone()

    def peek(self, tensors: int | None = None) -> Feature:
        """The feature of the last call.

        Args:
            tensors: how many the feature has, where a model may be told to leave out the very layers that are
                listened to (SD3's `skip_layers`): then there is none in this call, ().
        """
        if tensors is not None and len(self._seen) < tensors:
            return ()
        if not self._seen:
            raise RuntimeError(f"{self.name}: a full step ran past the tap and left nothing to reuse")
        return tuple(self._seen[position] for position in sorted(self._seen))

    def take(self, tensors: int | None = None) -> Feature:
        """Hand the feature over, as `peek` does; the tap itself holds nothing afterwards."""
        try:
            return self.peek(tensors)
        finally:
            self.forget()

    def forget(self) -> None:
        """Hold nothing: a call that was interrupted behind the tap has left what it saw."""
        self._seen = {}

    def on_output(self, module: nn.Module, streams: int = 1, first: int = 0) -> list[Swap]:
        """Keep what `module` returns (the first elements, where it returns a tuple), from `first` on."""

        def hook(module: nn.Module, args: Any, output: Any) -> None:
            returned = output if isinstance(output, tuple) else (output,)
            for stream in range(min(streams, len(returned))):
                self.keep(first + stream, returned[stream])

        return [Swap(module, "_forward_hooks", self.name, hook)]

    def on_input(
        self, module: nn.Module, *arguments: tuple[int, str, int], absent: bool = False
    ) -> list[Swap]:
        """Keep inputs of `module`, each given as (position in the feature, keyword, place in the call).

        With `absent` also those that are None.
        """

        def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            for position, keyword, place in arguments:
                value = kwargs[keyword] if keyword in kwargs else args[place] if place < len(args) else None
                if value is not None or absent:
                    self.keep(position, value)

        return [
            Swap(module, "_forward_pre_hooks", self.name, hook),
            Swap(module, "_forward_pre_hooks_with_kwargs", self.name, True),
        ]


@dataclass(frozen=True, eq=False)
class Block:
    """A block of a stack, and its place.

    Attributes:
        table: the name of the list that holds it.
        number: its place there.
        module: itself.
        streams: the arguments that it hands on, in the order in which it returns them.
        separate: it has streams of its own, although its arguments have the names of those before.
        runs: it runs on a cached step.
    """

    table: str
    number: int
    module: nn.Module
    streams: tuple[str, ...]
    separate: bool = False
    runs: bool = True


@dataclass(frozen=True, eq=False)
class Cut:
    """One branch of one model: how it becomes smaller, what is kept, where the kept feature goes in.

    Attributes:
        branch: which skip connections stay, 0-based from the outermost.
        shrink: the swaps of a cached step; among them the slot.
        slot: receives the feature before a cached step.
        tap: keeps the feature during a full step (or one at a deeper branch).
        listen: the swaps that put the tap in place.
        arguments: turns the arguments of the call (by name) into those that the smaller model needs.
        tensors: how many the feature has, where a call may leave some of them out; None where none does.
        residuals: how many of the first residuals of a ControlNet the skip branch needs, of one that gives
            these; None for an architecture that takes none.
        blocks: those of a stack, in the order in which the model runs them.
    """

    branch: int
    shrink: tuple[Swap, ...]
    slot: Slot
    tap: Tap
    listen: tuple[Swap, ...]
    arguments: Callable[[dict[str, Any]], dict[str, Any]]
    residuals: Callable[[Given], int | None] | None = None
    tensors: int | None = None
    blocks: tuple[Block, ...] = ()

    def remaining(self, model: nn.Module) -> set[nn.Module]:
        """The modules of the model of which something runs on a cached step."""
        return set(View(model, self.shrink).remaining())


def check_branch(model: nn.Module, branch: int, count: int) -> None:
    """Refuse a branch that a model of `count` branches does not have."""
    if not 0 <= branch < count:
        raise ValueError(
            f"branch={branch}: this {type(model).__name__} has {count} branches, "
            f"0 (cheapest cached step) to {count - 1} (closest to a full step)"
        )


def full_view(model: nn.Module, cuts: Sequence[Cut]) -> View:
    """The whole model, with the taps of these cuts in place."""
    return View(model, [swap for cut in cuts for swap in cut.listen])


def cached_view(model: nn.Module, cut: Cut, taps: Sequence[Cut] = ()) -> View:
    """Only the skip branch of `cut`; taps of shallower cuts may listen."""
    return View(model, [*cut.shrink, *(swap for tap in taps for swap in tap.listen)])


@contextmanager
def filled(slot: Slot, feature: Feature) -> Iterator[None]:
    """A slot with a feature to hand out, for one call."""
    slot.fill(feature)
    try:
        yield
    finally:
        slot.fill(())
