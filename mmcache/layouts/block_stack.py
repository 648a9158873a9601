"""The cut of a stack of blocks: head and tail run, the deep part does not.

The lists of blocks keep their lengths (ControlNets index into them). Where the streams change within the
stack (two are joined to one, say) there is a deep part on either side, so whatever the model does between
them is done as ever.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, groupby
from types import MappingProxyType
from typing import ClassVar

from torch import nn

from mmcache.layouts.cut import Block, Cut, Tap, check_branch
from mmcache.layouts.deep_part import DeepPart
from mmcache.layouts.residuals import Residuals, ResidualsRead
from mmcache.layouts.stand_ins import NothingAdded, Slots
from mmcache.patching.swap import Swap, swap_child

BRANCHES = 4
SHALLOWEST = 16  # branch 0 keeps a sixteenth of the blocks


def kept_at_either_end(layers: int, branch: int, ends: int = 1) -> int:
    """How many layers stay at the head, and as many at the tail.

    Branch b keeps 2**b / 16 of all layers: 1/16, 1/8, 1/4 and 1/2 at branches 0 to 3, in every model, half of
    them at either end. In a stack so short that this is less than a layer more than at the branch before, it
    is that layer more.
    """
    return max(ends + branch, int(layers * 2**branch / (2 * SHALLOWEST) + 0.5))


def branches_of_stack(layers: int, ends: int = 1) -> int:
    """How many branches a stack has: four, fewer where fewer than nine layers leave no deep part."""
    return max(0, min(BRANCHES, (layers - 1) // 2 - ends + 1))


def numbers(blocks: Iterable[Block]) -> dict[str, frozenset[int]]:
    """The numbers of blocks, by list."""
    found: dict[str, frozenset[int]] = {}
    for block in blocks:
        found[block.table] = found.get(block.table, frozenset()) | {block.number}
    return found


@dataclass(frozen=True)
class BlockStack:
    """Where a model class keeps its blocks, and what they hand on.

    Attributes:
        streams: by list, in the order in which the model runs the lists, the arguments of a block that it
            hands on, in the order in which it returns them. A list that a model lacks is passed over.
        group: how many entries of a list make one layer.
        ends: how many layers stay at either end at least; 0 where the model has layers before and behind.
        interleaved: the lists are walked at once: the first block of each, then the second of each, ...
        separate_tail: by list, the model's attribute that says how many of its last blocks have streams of
            their own.
        side_modules: by list, the config's entry that says behind every how many'th block one of this list's
            modules is run, and what it returns added.
        residuals: those that a side network, or the model itself, makes for the blocks.
    """

    streams: Mapping[str, tuple[str, ...]]
    group: int = 1
    ends: int = 1
    interleaved: bool = False
    separate_tail: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    side_modules: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    residuals: tuple[Residuals, ...] = ()

    refusal: ClassVar[str] = (
        "has no deep part: with fewer than three blocks, the first and the last are all there is"
    )

    def branches(self, model: nn.Module) -> int:
        """How many branches the model has."""
        return branches_of_stack(self._layers(model), self.ends)

    def cut(self, model: nn.Module, branch: int) -> Cut:
        """Cut at `branch`: 0 keeps the fewest layers, see `kept_at_either_end`.

        Raises:
            ValueError: the model has no such branch.
            UnsupportedPipelineError: a block has no argument of a stream's name.
        """
        check_branch(model, branch, self.branches(model))
        order = list(self._order(model))
        unit = self._unit(model)
        kept = kept_at_either_end(self._layers(model), branch, self.ends) * unit
        # Walked together, a layer leaves its streams in the shape in which they entered with its first block.
        behind = len(order) - kept - (unit - 1 if self.interleaved else 0)
        parts = [DeepPart(tuple(blocks)) for _, blocks in groupby(order[kept:behind], self._chain)]
        parts[-1] = replace(parts[-1], behind=self._where_it_goes_on(parts[-1], order[behind:]))
        read = ResidualsRead(
            model,
            self.residuals,
            numbers(order[kept:behind]),
            numbers(block for part in parts for block in part.unseen),
        )

        tap = Tap(f"mmcache.branch{branch}")
        listen: list[Swap] = []
        for before, part in enumerate(parts):
            listen += part.listen(tap, position=sum(other.tensors for other in parts[:before]))
        slots = [part.slot for part in parts]
        return Cut(
            branch,
            (
                *self._shorter(model, parts),
                *self._without(model, order[kept : behind - 1]),
                *read.swaps(),
            ),
            slots[0] if len(slots) == 1 else Slots(slots),
            tap,
            tuple(listen),
            read.arguments,
            residuals=read.needed if self.residuals else None,
            tensors=sum(part.tensors for part in parts),
            blocks=(
                *order[:kept],
                *(replace(block, runs=False) for block in order[kept:behind]),
                *order[behind:],
            ),
        )

    def _lists(self, model: nn.Module) -> list[str]:
        """The lists that the model has."""
        return [name for name in self.streams if len(getattr(model, name, ())) > 0]

    def _unit(self, model: nn.Module) -> int:
        """How many blocks make one layer."""
        return len(self._lists(model)) if self.interleaved else self.group

    def _layers(self, model: nn.Module) -> int:
        lists = self._lists(model)
        return sum(len(getattr(model, name)) for name in lists) // self._unit(model) if lists else 0

    def _chain(self, block: Block) -> Hashable:
        """Neighbours of one chain hand their streams to one another in the same shapes."""
        return None if self.interleaved else (block.streams, block.separate)

    def _order(self, model: nn.Module) -> Iterator[Block]:
        """The blocks as the model runs them."""
        tables = [list(self._placed(model, name)) for name in self._lists(model)]
        if self.interleaved:
            yield from (block for layer in zip(*tables, strict=True) for block in layer)
            return
        yield from chain(*tables)

    def _placed(self, model: nn.Module, name: str) -> Iterator[Block]:
        modules = list(getattr(model, name))
        tail = getattr(model, self.separate_tail[name]) if name in self.separate_tail else 0
        for number, module in enumerate(modules):
            separate = number >= len(modules) - tail
            yield Block(name, number, module, self.streams[name], separate)

    def _where_it_goes_on(self, part: DeepPart, tail: Sequence[Block]) -> Block | None:
        """The next block, where residuals are added between a part and it."""
        last = part.blocks[-1]
        added = any(of.blocks == last.table and not of.inside for of in self.residuals)
        goes_on = tail and tail[0].table == last.table and self._chain(tail[0]) == self._chain(last)
        return tail[0] if added and goes_on else None

    def _shorter(self, model: nn.Module, parts: Sequence[DeepPart]) -> Iterator[Swap]:
        stand_ins = {place: module for part in parts for place, module in part.stand_ins().items()}
        for name in dict.fromkeys(name for name, _ in stand_ins):
            blocks = [
                stand_ins.get((name, number), block) for number, block in enumerate(getattr(model, name))
            ]
            yield swap_child(model, name, nn.ModuleList(blocks))

    def _without(self, model: nn.Module, deep: Sequence[Block]) -> Iterator[Swap]:
        """Without the modules that add something behind these blocks."""
        numbers = {block.number for block in deep}
        for name, setting in self.side_modules.items():
            interval = model.config[setting]  # type: ignore[index]
            left = [
                NothingAdded() if place * interval in numbers else module
                for place, module in enumerate(getattr(model, name))
            ]
            yield swap_child(model, name, nn.ModuleList(left))
