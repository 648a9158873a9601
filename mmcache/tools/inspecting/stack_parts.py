"""A transformer's stack on a cached step: what runs at the head, what is left out, what runs behind."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from torch import nn

from mmcache.layouts.cut import Cut
from mmcache.layouts.stand_ins import Enter, LooksLike, PassThrough, Rejoin
from mmcache.tools.inspecting.stack_words import runs


@dataclass(frozen=True)
class Part:
    """Blocks of one list that all stay or are all left out.

    Attributes:
        blocks: the name of the list.
        first, last: their numbers there.
        stays: they run on a cached step.
        streams: what those that are left out would have handed on, which is kept; () for blocks that stay.
        macs: multiply-adds of one call; None where they cannot be counted.
    """

    blocks: str
    first: int
    last: int
    stays: bool
    streams: tuple[str, ...]
    macs: int | None


class Placed(NamedTuple):
    """A block, and what stands there on a cached step."""

    blocks: str
    number: int
    block: nn.Module
    there: nn.Module


def stack_parts(cut: Cut, taken: Mapping[int, int] | None) -> tuple[Part, ...]:
    """The parts as the model runs them; none for a model that is no stack.

    Args:
        cut: of the model.
        taken: the multiply-adds of each block, by its id; None where they cannot be counted.
    """
    lists = {
        swap.key: (swap.owner._modules[swap.key], swap.value)
        for swap in cut.shrink
        if isinstance(swap.value, nn.ModuleList) and any(isinstance(there, LooksLike) for there in swap.value)
    }
    places = {
        id(block): Placed(name, number, block, there)
        for name, (blocks, others) in lists.items()
        for number, (block, there) in enumerate(zip(blocks, others, strict=True))
    }
    order = [places[id(block)] for block in cut.blocks if id(block) in places]
    return tuple(
        part(blocks, taken) for _, neighbours in groupby(order, stays) for blocks in by_list(neighbours)
    )


def stays(placed: Placed) -> bool:
    return runs(placed.there)


def by_list(neighbours: Iterator[Placed]) -> list[list[Placed]]:
    """Lists may be walked at once: their blocks alternate."""
    found: dict[str, list[Placed]] = {}
    for placed in neighbours:
        found.setdefault(placed.blocks, []).append(placed)
    return list(found.values())


def part(blocks: list[Placed], taken: Mapping[int, int] | None) -> Part:
    there = blocks[-1].there
    streams = there.places if isinstance(there, Enter | PassThrough | Rejoin) and not there.runs else ()
    return Part(
        blocks[0].blocks,
        blocks[0].number,
        blocks[-1].number,
        stays(blocks[0]),
        tuple(place.keyword for place in streams),
        None if taken is None else sum(taken.get(id(placed.block), 0) for placed in blocks),
    )
