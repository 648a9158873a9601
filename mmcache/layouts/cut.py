"""The mechanism: while one step runs, some entries of the model's own tables are exchanged.

A cached step exchanges children (the deep part goes, a `Slot` with the kept feature comes in); a full
step adds forward hooks that keep that feature (a `Tap`). Both are lists of `Swap`s, undone in a
`finally`, so outside a denoiser call the model is exactly what its owner made it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import nn

from mmcache.patching.swap import Swap, swapped
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


class Slot(nn.Module):
    """Stands where the deep part stood: ignores its inputs and returns the kept feature."""

    def __init__(self) -> None:
        super().__init__()
        self.feature: Feature = ()
        self.taps = ""

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        _ = self.taps == ""  # read, so that a compiled graph is bound to it
        return self.feature[0]

    def added(self, feature: Feature) -> Feature:
        """What a cached step gets from a feature: how much two of them differ for it shows in this."""
        return feature

    def empty(self) -> None:
        """Hold nothing any more."""
        self.feature = ()


class Mark(nn.Module):
    """Stands around a child that every full step runs, and names the taps that are in place.

    A compiled graph is not bound to the absence of hooks: one that was made without taps would be used
    for a step with taps, and nothing would be kept. It is bound to the type of a child and to what that
    child reads.
    """

    def __init__(self, child: nn.Module | None) -> None:
        super().__init__()
        self.child = child
        self.taps = ""
        # By which a model's forward knows what to give the child.
        shown = [name for name in ("has_cross_attention", "motion_modules") if hasattr(child, name)]
        self.__dict__.update({name: getattr(child, name) for name in shown})

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        _ = self.taps == ""
        return args[0] if self.child is None else self.child(*args, **kwargs)


class Tap:
    """Keeps the feature that passes a cut during a full step.

    It keeps copies: FreeU scales the hidden state in place right behind the cut, and T2I-Adapter adds to
    it in place, so a reference would be changed before it is used.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._seen: dict[int, torch.Tensor] = {}

    def keep(self, position: int, tensor: torch.Tensor | None) -> None:
        """Of a stream that is not there (a video without sound) an empty tensor, so that places stay."""
        self._seen[position] = torch.empty(0) if tensor is None else tensor.detach().clone()

    def take(self, tensors: int | None = None) -> Feature:
        """Hand the feature over; the tap itself holds nothing afterwards.

        Args:
            tensors: how many the feature has, where a model may be told to leave out the very layers that are
                listened to (SD3's `skip_layers`): then there is none in this call, ().
        """
        seen, self._seen = self._seen, {}
        if tensors is not None and len(seen) < tensors:
            return ()
        if not seen:
            raise RuntimeError(f"{self.name}: a full step ran past the tap and left nothing to reuse")
        return tuple(seen[position] for position in sorted(seen))

    def on_output(self, module: nn.Module, streams: int = 1, first: int = 0) -> list[Swap]:
        """Keep what `module` returns (the first elements, where it returns a tuple), from `first` on."""

        def hook(module: nn.Module, args: Any, output: Any) -> None:
            returned = output if isinstance(output, tuple) else (output,)
            for stream in range(streams):
                self.keep(first + stream, returned[stream])

        return [Swap(module._forward_hooks, self.name, hook)]

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
            Swap(module._forward_pre_hooks, self.name, hook),
            Swap(module._forward_pre_hooks_with_kwargs, self.name, True),
        ]


@dataclass(frozen=True, eq=False)
class Cut:
    """One branch of one model: how it becomes smaller, what is kept, where the kept feature goes in.

    Attributes:
        branch: which skip connections stay, 0-based from the outermost.
        shrink: the swaps of a cached step; among them the slot.
        slot: receives the feature before a cached step.
        tap: keeps the feature during a full step (or one at a deeper branch).
        listen: the swaps that put the tap in place.
        mark: of a full step with taps, and the swap that puts it in place.
        arguments: turns the arguments of the call (by name) into those that the smaller model needs.
        layers: the modules that the cut was made from; if the owner of the model has exchanged one of
            them since, the cut is stale.
        tensors: how many the feature has, where a call may leave some of them out; None where none does.
        residuals: how many of the first residuals of a ControlNet the skip branch needs, of one that gives
            these; None for an architecture that takes none.
    """

    branch: int
    shrink: tuple[Swap, ...]
    slot: Slot
    tap: Tap
    listen: tuple[Swap, ...]
    mark: tuple[Mark, Swap]
    arguments: Callable[[dict[str, Any]], dict[str, Any]]
    layers: tuple[nn.Module, ...]
    residuals: Callable[[Given], int | None] | None = None
    tensors: int | None = None

    def same_layers(self, other: "Cut") -> bool:
        return len(self.layers) == len(other.layers) and all(
            mine is theirs for mine, theirs in zip(self.layers, other.layers, strict=True)
        )


def check_branch(model: nn.Module, branch: int, count: int) -> None:
    """Refuse a branch that a model of `count` branches does not have."""
    if not 0 <= branch < count:
        raise ValueError(
            f"branch={branch}: this {type(model).__name__} has {count} branches, "
            f"0 (cheapest cached step) to {count - 1} (closest to a full step)"
        )


@contextmanager
def tapped(cuts: Sequence[Cut]) -> Iterator[None]:
    """The whole model, with the taps of these cuts in place; `cut.tap.take()` hands a feature over."""
    mark, swap = cuts[0].mark
    mark.taps = tap_names(cuts)
    with swapped([swap, *(swap for cut in cuts for swap in cut.listen)]):
        yield


@contextmanager
def cached(cut: Cut, feature: Feature, taps: Sequence[Cut] = ()) -> Iterator[None]:
    """The model runs only the skip branch of `cut`, on `feature`; taps of shallower cuts may listen."""
    cut.slot.feature, cut.slot.taps = feature, tap_names(taps)
    try:
        with swapped([*cut.shrink, *(swap for cut in taps for swap in cut.listen)]):
            yield
    finally:
        cut.slot.empty()


def tap_names(cuts: Sequence[Cut]) -> str:
    return " ".join(cut.tap.name for cut in cuts)
