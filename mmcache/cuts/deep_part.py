"""Neighbouring blocks that a cached step leaves out: what stands in for them, and where to listen.

The first block becomes an `Enter`, the last a `Rejoin`, those between pass their streams on.
"""

from dataclasses import dataclass
from functools import cached_property

from torch import nn

from mmcache.cuts.block_streams import places
from mmcache.cuts.cut import Swap, Tap
from mmcache.cuts.stand_ins import Enter, PassThrough, Rejoin


@dataclass(frozen=True, eq=False)
class Placed:
    """A block and its place.

    Attributes:
        table: the name of the list that holds it.
        number: its place there.
        block: itself.
        streams: the arguments that it hands on, in the order in which it returns them.
        apart: it has streams of its own, although its arguments have the names of those before.
    """

    table: str
    number: int
    block: nn.Module
    streams: tuple[str, ...]
    apart: bool = False


@dataclass(frozen=True, eq=False)
class DeepPart:
    """Neighbouring blocks that hand their streams to one another.

    Attributes:
        blocks: in the order in which they run; at least one.
    """

    blocks: tuple[Placed, ...]

    @cached_property
    def slot(self) -> Rejoin:
        last = self.blocks[-1]
        return Rejoin(last.block, places(last.block, last.streams))

    def stand_ins(self) -> dict[tuple[str, int], nn.Module]:
        """What stands for each block, by the name of its list and its place there."""
        *others, last = self.blocks
        found: dict[tuple[str, int], nn.Module] = {
            (placed.table, placed.number): PassThrough(placed.block, places(placed.block, placed.streams))
            for placed in others
        }
        for first in others[:1]:
            enter = Enter(first.block, places(first.block, first.streams), self.slot)
            found[first.table, first.number] = enter
        return found | {(last.table, last.number): self.slot}

    def listen(self, tap: Tap, position: int) -> list[Swap]:
        """Let a tap keep what leaves the part, and behind that what enters it.

        Args:
            tap: keeps it.
            position: of the first of these tensors in the feature.
        """
        first, last = self.blocks[0], self.blocks[-1]
        streams = len(first.streams)
        entering = [
            (position + streams + number, *place)
            for number, place in enumerate(places(first.block, first.streams))
        ]
        return [
            *tap.on_output(last.block, streams, position),
            *tap.on_input(first.block, *entering, absent=True),
        ]

    @property
    def tensors(self) -> int:
        """How many the part's feature has."""
        return 2 * len(self.blocks[0].streams)
