"""The layout of diffusers' U-Nets: which blocks and layers form the skip branch, from the blocks' own lists.

A U-Net without its deep part runs through its own unchanged `forward` once `down_blocks` ends where skip
connection b is made, `up_blocks` begins where it is used, and `mid_block` is a slot (DeepCache, arXiv
2312.00858, section 3.2: the skip branch; b is 0-based here, 1-based there).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, ClassVar

import torch
from torch import nn

from mmcache.layouts.cut import Cut, Slot, Tap, check_branch
from mmcache.layouts.layout import NO_DEEP_PART
from mmcache.layouts.unet_blocks import (
    Skip,
    downsamplers,
    layers_by_list,
    layers_of,
    one_skip,
    second_stream,
    shorten,
    skips,
)
from mmcache.patching.swap import Swap, swap_child


@dataclass(frozen=True)
class Entry:
    """Where a skip branch begins: an up block, its first layer that stays, and the deepest skip it uses."""

    block: int
    layer: int
    skip: int


def entries(model: nn.Module) -> list[Entry]:
    """Where a skip branch can begin, the shallowest first: entry b is branch b."""
    found = []
    end = len(skips(model))
    seen_second_stream = False
    for index, block in enumerate(model.up_blocks):  # type: ignore[arg-type]
        # A block without the second stream cannot be entered where one passes it by.
        if second_stream(block) or not seen_second_stream:
            starts = 1 if one_skip(block) else layers_of(block)
            found += [Entry(index, layer, end - 1 - layer) for layer in range(starts)]
        seen_second_stream |= second_stream(block)
        end -= layers_of(block)
    if model.mid_block is None and found[:1] == [Entry(0, 0, len(skips(model)) - 1)]:
        found = found[1:]  # without a mid block, nothing is deeper than the innermost skip connection
    return found[::-1]


class SecondStream(nn.Module):
    """The first up block of a skip branch, given the kept second stream as well as the hidden state."""

    def __init__(self, block: nn.Module, slot: Slot) -> None:
        super().__init__()
        self.block, self.slot = block, slot

    @property
    def resnets(self) -> Any:  # as many as stay: the model's forward hands over so many skip connections
        return self.block.resnets

    @property
    def skip_conv(self) -> Any:  # by which the model's forward knows such a block
        return self.block.skip_conv

    def forward(self, hidden_states: torch.Tensor, skips: Any, temb: torch.Tensor, _: Any = None) -> Any:
        return self.block(hidden_states, skips, temb, self.slot.kept.feature[1])


class SlotOfTwo(Slot):
    """Stands for a mid block that returns the hidden states of two nets; the second is not used."""

    def forward(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, None]:  # type: ignore[override]
        return super().forward(*args, **kwargs), None


@dataclass(frozen=True, eq=False)
class SkipBranch:
    """What stays of one U-Net, and what goes.

    Attributes:
        model: the U-Net.
        entry: where the skip branch begins on the way up.
        skip: the deepest skip connection that it uses; the way down ends there.
        slot: stands for the mid block.
    """

    model: nn.Module
    entry: Entry
    skip: Skip
    slot: Slot

    @property
    def _last(self) -> nn.Module:
        """The last down block that stays; there is one unless the skip connection is conv_in's."""
        return self.model.down_blocks[self.skip.block]  # type: ignore[index, return-value]

    @property
    def _first(self) -> nn.Module:
        """The first up block that stays."""
        return self.model.up_blocks[self.entry.block]  # type: ignore[index, return-value]

    @property
    def _second_stream(self) -> bool:
        """Whether a second stream enters the skip branch from the deep part."""
        return second_stream(self._first) and self.entry.block > 0

    def down(self) -> Iterator[Swap]:
        """End the way down behind the skip connection."""
        blocks = list(self.model.down_blocks)  # type: ignore[arg-type]
        yield swap_child(self.model, "down_blocks", nn.ModuleList(blocks[: self.skip.block + 1]))
        if self.skip.block >= 0 and not self.skip.downsampled:
            yield from shorten(self._last, 0, self.skip.layers)
            for name in [] if one_skip(self._last) else downsamplers(self._last):
                yield swap_child(self._last, name, None)

    def up(self) -> Iterator[Swap]:
        """Begin the way up where the skip connection is used."""
        first, *others = list(self.model.up_blocks)[self.entry.block :]  # type: ignore[arg-type]
        entered = SecondStream(first, self.slot) if self._second_stream else first
        yield swap_child(self.model, "up_blocks", nn.ModuleList([entered, *others]))
        if self.entry.layer > 0:
            yield from shorten(first, self.entry.layer, layers_of(first))

    def listen(self, tap: Tap) -> Iterator[Swap]:
        """Let a tap keep what enters the skip branch: the hidden state, and a second stream if there is one.

        Where the branch begins with a whole block, the tap is at the block's entrance and not at the exit of
        the one before: what a ControlNet or T2I-Adapter adds behind the mid block belongs to the feature.
        """
        second = [(1, "skip_sample", 3)] if self._second_stream else []
        if self.entry.layer == 0:
            yield from tap.on_input(self._first, (0, "hidden_states", 0), *second)
            return
        if second:
            yield from tap.on_input(self._first, *second)
        layers = layers_by_list(self._first).values()
        before = chain(*(modules[self.entry.layer - 1] for modules in layers))
        *_, last = (module for module in before if module is not None)
        yield from tap.on_output(last)

    def arguments(self, call: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call without the residuals of layers that do not run."""
        return arguments_of_skip_branch(call, self.entry.skip + 1, self._whole_blocks)

    @cached_property
    def _whole_blocks(self) -> int:
        """How many down blocks stay whole enough for a T2I-Adapter's residual."""
        fits = self.skip.block < 0 or residual_still_fits(self._last, self.skip)
        return self.skip.block + (1 if fits else 0)


@dataclass(frozen=True)
class SkipUNet:
    """The layout of U-Nets made of diffusers' blocks, whose lists say where everything is.

    Attributes:
        two_nets: a second net goes down beside the U-Net, and the mid block returns the hidden states of both
            (ControlNet-XS, Zavadski et al., arXiv 2312.06573). Only the U-Net goes up again, so one hidden
            state crosses the cut, as in every other U-Net.
    """

    two_nets: bool = False

    refusal: ClassVar[str] = NO_DEEP_PART

    def branches(self, model: nn.Module) -> int:
        """How many branches the model has: 12 for Stable Diffusion v1.5."""
        return len(entries(model))

    def cut(self, model: nn.Module, branch: int) -> Cut:
        """Cut at `branch`: 0 keeps the outermost skip connection only.

        Raises:
            ValueError: the model has no such branch.
        """
        found = entries(model)
        check_branch(model, branch, len(found))
        slot = SlotOfTwo() if self.two_nets else Slot()
        entry, tap = found[branch], Tap(f"mmcache.branch{branch}")
        around = SkipBranch(model, entry, skips(model)[entry.skip], slot)
        return Cut(
            branch,
            (*around.down(), swap_child(model, "mid_block", slot), *around.up()),
            slot,
            tap,
            tuple(around.listen(tap)),
            around.arguments,
            residuals=lambda given: entry.skip + 1,
        )


def residual_still_fits(block: nn.Module, skip: Skip) -> bool:
    """Whether a T2I-Adapter residual for `block` still meets the layer it is made for.

    Blocks with cross-attention add it behind their last layer, the others to the block's output.
    """
    all_layers = skip.layers == layers_of(block)
    if getattr(block, "has_cross_attention", False):
        return all_layers
    return all_layers and (skip.downsampled or not downsamplers(block))


def arguments_of_skip_branch(call: dict[str, Any], residuals: int, whole_blocks: int) -> dict[str, Any]:
    """Drop what belongs to layers that do not run.

    A ControlNet has one residual per skip connection, from the outermost; its mid residual is already in
    the kept feature, so nothing (0.0) is added. A T2I-Adapter has one residual per down block.
    """
    call = dict(call)
    in_skips = call.get("down_block_additional_residuals")
    if call.get("mid_block_additional_residual") is not None:
        call["mid_block_additional_residual"] = 0.0
        if in_skips is not None:
            call["down_block_additional_residuals"] = list(in_skips)[:residuals]
    elif in_skips is not None:  # T2I-Adapter's old argument
        call["down_block_additional_residuals"] = list(in_skips)[:whole_blocks]
    if call.get("down_intrablock_additional_residuals") is not None:
        in_blocks = list(call["down_intrablock_additional_residuals"])
        call["down_intrablock_additional_residuals"] = in_blocks[:whole_blocks]
    return call
