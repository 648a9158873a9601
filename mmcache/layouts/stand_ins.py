"""What stands where blocks of a deep part stood, while a cached step runs.

The blocks are residual: each adds to the streams (hidden states) that it is given. So a cached step takes
what left the deep part at the last full step, and adds by how much what enters it has changed since (the
cached residual of Delta-DiT, arXiv 2406.01125, and TeaCache, arXiv 2411.19108, in a form that gives back
a full step's output bit for bit).
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from mmcache.layouts.cut import Slot
from mmcache.plans.forecast import Feature


class Place(NamedTuple):
    """An argument of a block, by its keyword and its place among the positional ones."""

    keyword: str
    position: int


Streams = tuple[torch.Tensor | None, ...]
"""Hidden states that blocks hand to one another; None for one that is not there (no sound)."""


def given(places: Sequence[Place], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Streams:
    """The streams of a call."""
    return tuple(
        kwargs[place.keyword] if place.keyword in kwargs else args[place.position] for place in places
    )


def handed_on(streams: Streams) -> torch.Tensor | Streams | None:
    """As a block returns its streams: a tensor where there is one, else a tuple."""
    return streams[0] if len(streams) == 1 else streams


class LooksLike(nn.Module):
    """Has the attributes of a block that it stands for, as the model's forward may ask for them.

    The block is not a child: nothing of it runs.

    Attributes:
        runs: the block does run, within this.
    """

    runs = False

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.__dict__["block"] = block

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.__dict__["block"], name)


class PassThrough(LooksLike):
    """Stands where a block of the deep part stood."""

    def __init__(self, block: nn.Module, places: tuple[Place, ...]) -> None:
        super().__init__(block)
        self.places = places

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return handed_on(given(self.places, args, kwargs))


class Rejoin(LooksLike, Slot):
    """Stands where the last block of a deep part stood, and returns what it would have returned.

    The feature is what left the deep part and then what entered it, stream by stream.
    """

    def __init__(self, block: nn.Module, places: tuple[Place, ...]) -> None:
        super().__init__(block)
        self.places = places

    def enter(self, streams: Streams) -> None:
        """Note by how much the streams have changed since the last full step."""
        before = self.kept.feature[len(streams) :]
        pairs = zip(streams, before, strict=True)
        self.kept.entered = tuple(None if now is None else now - then for now, then in pairs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return handed_on(self.rejoined(args, kwargs))

    def rejoined(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Streams:
        """What leaves the deep part; of what is handed over only whether it is there is looked at."""
        if not self.kept.entered:  # alone, it is the first deep block as well
            self.enter(given(self.places, args, kwargs))
        entered, self.kept.entered = self.kept.entered, ()
        # In this order: on an unchanged input the difference is 0 and what left is returned exactly.
        # A model may be spread over devices.
        pairs = zip(self.kept.feature[: len(entered)], entered, strict=True)
        return tuple(None if by is None else left + by.to(left.device) for left, by in pairs)

    def added(self, feature: Feature) -> Feature:
        """What the deep part adds to the streams that enter it."""
        streams = len(feature) // 2
        pairs = zip(feature[:streams], feature[streams:], strict=True)
        return tuple(left - entered.to(left.device) for left, entered in pairs)


class RejoinBefore(Rejoin):
    """Stands around the block behind a deep part, which runs on what would have left the part."""

    runs = True

    def __init__(self, block: nn.Module, places: tuple[Place, ...]) -> None:
        super().__init__(block, places)
        self.child = block

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        streams = self.rejoined(args, kwargs)
        named = dict(zip(self.places, streams, strict=True))
        by_position = {place.position: s for place, s in named.items() if place.keyword not in kwargs}
        by_keyword = {place.keyword: s for place, s in named.items() if place.keyword in kwargs}
        together = [by_position.get(position, value) for position, value in enumerate(args)]
        return self.child(*together, **kwargs | by_keyword)


class Enter(LooksLike):
    """Stands where the first deep block stood: looks at what enters, before a side network adds to it."""

    def __init__(self, block: nn.Module, places: tuple[Place, ...], slot: Rejoin) -> None:
        super().__init__(block)
        self.places, self.slot = places, slot

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        streams = given(self.places, args, kwargs)
        self.slot.enter(streams)
        return handed_on(streams)


class Slots(Slot):
    """Several deep parts of one model, as one slot: the feature is theirs, one after another."""

    def __init__(self, parts: Sequence[Rejoin]) -> None:
        super().__init__()
        self.__dict__["parts"] = list(parts)  # not children: they stand in the model

    def fill(self, feature: Feature) -> None:
        for part, own in self._shared_out(feature):
            part.fill(own)

    def added(self, feature: Feature) -> Feature:
        """What each of the deep parts adds to the streams that enter it."""
        return tuple(tensor for part, own in self._shared_out(feature) for tensor in part.added(own))

    def _shared_out(self, feature: Feature) -> Iterator[tuple[Rejoin, Feature]]:
        first = 0
        for part in self.__dict__.get("parts", ()):
            behind = first + 2 * len(part.places)
            yield part, feature[first:behind]
            first = behind


class NothingAdded(nn.Module):
    """Stands where a module stood whose result is added to a stream behind a block that does not run."""

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        tensors = (value for value in (*args, *kwargs.values()) if isinstance(value, torch.Tensor))
        return next(tensors).new_zeros(())
