"""Neighbouring blocks that a cached step leaves out: what stands in for them, and where to listen.

The first block becomes an `Enter`, the last a `Rejoin`, those between pass their streams on. Where a side
network adds something behind the last block, the part ends with that: it is rejoined at the block behind.
"""

from dataclasses import dataclass
from functools import cached_property

from torch import nn

from mmcache.layouts.block_streams import places
from mmcache.layouts.cut import Block, Tap
from mmcache.layouts.stand_ins import Enter, PassThrough, Rejoin, RejoinBefore
from mmcache.patching.swap import Swap


@dataclass(frozen=True, eq=False)
class DeepPart:
    """Neighbouring blocks that hand their streams to one another.

    Attributes:
        blocks: in the order in which they run; at least one.
        behind: the block that runs next, where what is added in front of it belongs to the part.
    """

    blocks: tuple[Block, ...]
    behind: Block | None = None

    @cached_property
    def slot(self) -> Rejoin:
        if self.behind is not None:
            return RejoinBefore(self.behind.module, places(self.behind.module, self.behind.streams))
        last = self.blocks[-1]
        return Rejoin(last.module, places(last.module, last.streams))

    def stand_ins(self) -> dict[tuple[str, int], nn.Module]:
        """What stands for each block, by the name of its list and its place there."""
        *others, last = (*self.blocks, *([] if self.behind is None else [self.behind]))
        found: dict[tuple[str, int], nn.Module] = {
            (block.table, block.number): PassThrough(block.module, places(block.module, block.streams))
            for block in others
        }
        for first in others[:1]:
            enter = Enter(first.module, places(first.module, first.streams), self.slot)
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
            for number, place in enumerate(places(first.module, first.streams))
        ]
        if self.behind is None:
            leaving = tap.on_output(last.module, streams, position)
        else:
            at = places(self.behind.module, self.behind.streams)
            left = [(position + number, *place) for number, place in enumerate(at)]
            leaving = tap.on_input(self.behind.module, *left, absent=True)
        return [*leaving, *tap.on_input(first.module, *entering, absent=True)]

    @property
    def unseen(self) -> tuple[Block, ...]:
        """The blocks behind which nothing is seen of what is added there."""
        return self.blocks[:-1] if self.behind is None else self.blocks

    @property
    def tensors(self) -> int:
        """How many the part's feature has."""
        return 2 * len(self.blocks[0].streams)
