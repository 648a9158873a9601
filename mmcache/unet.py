"""The cut of a U-Net: which blocks and layers form the skip branch, from the blocks' own lists.

Every U-Net of diffusers hands its skip connections over as one tuple, outermost first: conv_in's output,
then each layer's and each downsampler's output. Up blocks take theirs from the end, as many as they have
resnets. So a U-Net without its deep part runs through its own unchanged `forward` once
`down_blocks` ends where skip connection b is made, `up_blocks` begins where it is used, and `mid_block`
is a slot (DeepCache, arXiv 2312.00858, section 3.2: the skip branch; b is 0-based here, 1-based there).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mmcache.cut import Cut, Mark, Slot, Swap, Tap, swap_child

# The lists of a block that have one entry per layer, in the order in which a layer runs them.
LAYER_LISTS = ("resnets", "temp_convs", "attentions", "temp_attentions", "motion_modules")

# k-diffusion's blocks hand over one skip connection per block, at the block's entrance.
ONE_SKIP_PER_BLOCK = {"KDownBlock2D", "KCrossAttnDownBlock2D", "KUpBlock2D", "KCrossAttnUpBlock2D"}


@dataclass(frozen=True)
class Skip:
    """Where a skip connection is made: after so many layers of a down block, or after its downsampler."""

    block: int
    layers: int
    downsampled: bool


@dataclass(frozen=True)
class Entry:
    """Where a skip branch begins: an up block, its first layer that stays, and the deepest skip it uses."""

    block: int
    layer: int
    skip: int


def layers_of(block: nn.Module) -> int:
    return len(block.resnets)  # type: ignore[arg-type]


def one_skip(block: nn.Module) -> bool:
    return type(block).__name__ in ONE_SKIP_PER_BLOCK


def second_stream(block: nn.Module) -> bool:
    """Skip up blocks (NCSN++) hand an image from block to block beside the hidden state."""
    return hasattr(block, "skip_conv")


def skips(model: nn.Module) -> list[Skip]:
    """The skip connections in the order of the tuple that the model's forward builds."""
    found = [Skip(block=-1, layers=0, downsampled=False)]
    for index, block in enumerate(model.down_blocks):  # type: ignore[arg-type]
        count = layers_of(block)
        found += [Skip(index, layer + 1, False) for layer in range(count)]
        if getattr(block, "downsamplers", None) is not None and not one_skip(block):
            found.append(Skip(index, count, True))
    return found


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


def branches(model: nn.Module) -> int:
    """How many branches the model has: 12 for Stable Diffusion v1.5."""
    return len(entries(model))


def per_layer_lists(block: nn.Module) -> Iterator[tuple[str, nn.ModuleList]]:
    """The block's lists with an entry per layer (AttnSkipUpBlock2D has one attention behind all layers)."""
    for name in LAYER_LISTS:
        modules = getattr(block, name, None)
        if modules is not None and len(modules) == layers_of(block):
            yield name, modules


def shorten(block: nn.Module, start: int, stop: int) -> Iterator[Swap]:
    """Leave only the layers start..stop-1 of a block."""
    for name, modules in per_layer_lists(block):
        yield swap_child(block, name, nn.ModuleList(list(modules)[start:stop]))


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
        return self.block(hidden_states, skips, temb, self.slot.feature[1])


def cut(model: nn.Module, branch: int) -> Cut:
    """Cut a U-Net at `branch`: 0 keeps the outermost skip connection only.

    Raises:
        ValueError: the model has no such branch.
    """
    found = entries(model)
    if not 0 <= branch < len(found):
        raise ValueError(
            f"branch={branch}: this {type(model).__name__} has {len(found)} branches, "
            f"0 (cheapest cached step) to {len(found) - 1} (closest to a full step)"
        )
    entry = found[branch]
    slot, tap = Slot(), Tap(f"mmcache.branch{branch}")
    down, up = list(model.down_blocks), list(model.up_blocks)  # type: ignore[arg-type]
    skip = skips(model)[entry.skip]

    shrink = [swap_child(model, "down_blocks", nn.ModuleList(down[: skip.block + 1]))]
    if skip.block >= 0:
        last = down[skip.block]
        if skip.layers < layers_of(last):
            shrink += shorten(last, 0, skip.layers)
        if not skip.downsampled and not one_skip(last) and last.downsamplers is not None:
            shrink.append(swap_child(last, "downsamplers", None))
    shrink.append(swap_child(model, "mid_block", slot))

    first = up[entry.block]
    kept_up = up[entry.block :]
    listen: list[Swap] = []
    has_second_stream = second_stream(first) and entry.block > 0
    if has_second_stream:
        listen += tap.on_input(first, (1, "skip_sample", 3))
        kept_up = [SecondStream(first, slot), *kept_up[1:]]
    shrink.append(swap_child(model, "up_blocks", nn.ModuleList(kept_up)))
    if entry.layer > 0:
        shrink += shorten(first, entry.layer, layers_of(first))
        *_, (_, last_list) = per_layer_lists(first)
        listen += tap.on_output(last_list[entry.layer - 1])
    elif has_second_stream:
        listen = tap.on_input(first, (0, "hidden_states", 0), (1, "skip_sample", 3))
    else:
        # At the block's entrance, not at the exit of the one before: what a ControlNet or T2I-Adapter
        # adds behind the mid block belongs to the feature.
        listen += tap.on_input(first, (0, "hidden_states", 0))

    whole_blocks = skip.block + 1
    if skip.block >= 0 and not residual_still_fits(down[skip.block], skip):
        whole_blocks -= 1

    def arguments(call: dict[str, Any]) -> dict[str, Any]:
        return arguments_of_skip_branch(call, whole_blocks)

    mark = Mark(model.mid_block)  # type: ignore[arg-type]
    middle = [] if model.mid_block is None else [model.mid_block]
    layers = [m for block in (*down, *up) for _, modules in per_layer_lists(block) for m in modules]
    return Cut(
        branch,
        tuple(shrink),
        slot,
        tap,
        tuple(listen),
        (mark, swap_child(model, "mid_block", mark)),
        arguments,
        (*layers, *middle),  # type: ignore[arg-type]
    )


def residual_still_fits(block: nn.Module, skip: Skip) -> bool:
    """Whether a T2I-Adapter residual for `block` still meets the layer it is made for.

    Blocks with cross-attention add it behind their last layer, the others to the block's output.
    """
    all_layers = skip.layers == layers_of(block)
    if getattr(block, "has_cross_attention", False):
        return all_layers
    return all_layers and (skip.downsampled or block.downsamplers is None)


def arguments_of_skip_branch(call: dict[str, Any], whole_blocks: int) -> dict[str, Any]:
    """Drop the residuals that belong to layers which do not run.

    ControlNet's down residuals are matched from the outermost and need nothing; its mid residual is
    already in the kept feature, so nothing (0.0) is added. T2I-Adapter has one residual per down block.
    """
    call = dict(call)
    if call.get("mid_block_additional_residual") is not None:
        call["mid_block_additional_residual"] = 0.0
    elif call.get("down_block_additional_residuals") is not None:  # T2I-Adapter's old argument
        call["down_block_additional_residuals"] = list(call["down_block_additional_residuals"])[:whole_blocks]
    if call.get("down_intrablock_additional_residuals") is not None:
        residuals = list(call["down_intrablock_additional_residuals"])
        call["down_intrablock_additional_residuals"] = residuals[:whole_blocks]
    return call
