"""A transformer's stack on a cached step: what runs at the head, what is left out, what runs behind."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from mmcache.layouts.cut import Block, Cut


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


def stack_parts(cut: Cut, taken: Mapping[int, int] | None) -> tuple[Part, ...]:
    """The parts as the model runs them; none for a model that is no stack.

    Args:
        cut: of the model.
        taken: the multiply-adds of each block, by its id; None where they cannot be counted.
    """
    touched = {block.table for block in cut.blocks if not block.runs}
    order = [block for block in cut.blocks if block.table in touched]
    return tuple(
        part(blocks, taken)
        for _, neighbours in groupby(order, attrgetter("runs"))
        for blocks in by_list(neighbours)
    )


def by_list(neighbours: Iterator[Block]) -> list[list[Block]]:
    """Lists may be interleaved: then their blocks alternate."""
    found: dict[str, list[Block]] = {}
    for block in neighbours:
        found.setdefault(block.table, []).append(block)
    return list(found.values())


def part(blocks: list[Block], taken: Mapping[int, int] | None) -> Part:
    first, last = blocks[0], blocks[-1]
    return Part(
        first.table,
        first.number,
        last.number,
        first.runs,
        () if first.runs else last.streams,
        None if taken is None else sum(taken.get(id(block.module), 0) for block in blocks),
    )
