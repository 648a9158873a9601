"""The cut of a U-Net: which blocks and layers form the skip branch, from the blocks' own lists.

Every U-Net of diffusers hands its skip connections over as one tuple, outermost first: conv_in's output,
then each layer's and each downsampler's output. Up blocks take theirs from the end, as many as they have
resnets. So a U-Net without its deep part runs through its own unchanged `forward` once
`down_blocks` ends where skip connection b is made, `up_blocks` begins where it is used, and `mid_block`
is a slot (DeepCache, arXiv 2312.00858, section 3.2: the skip branch; b is 0-based here, 1-based there).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

import torch
from torch import nn

from mmcache.layouts.cut import Cut, Slot, Tap, check_branch
from mmcache.layouts.layout import NO_DEEP_PART
from mmcache.patching.swap import Swap, swap_child

# The lists of a block that hold its layers, in the order in which a layer runs them. Blocks of ControlNet-XS
# hold two nets, base and ctrl, and the convolutions between them.
BETWEEN_NETS = ("base_to_ctrl", "ctrl_to_base")
LAYER_LISTS = (
    *BETWEEN_NETS,
    *("base_resnets", "ctrl_resnets", "base_attentions", "ctrl_attentions"),
    *("resnets", "temp_convs", "attentions", "temp_attentions", "motion_modules"),
)
DOWNSAMPLERS = ("downsamplers", "base_downsamplers", "ctrl_downsamplers", "resnet_down", "skip_conv")

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
    return len(block.resnets if hasattr(block, "resnets") else block.base_resnets)  # type: ignore[arg-type]


def downsamplers(block: nn.Module) -> list[str]:
    """The names of the children by which a block makes its output smaller."""
    return [name for name in DOWNSAMPLERS if getattr(block, name, None) is not None]


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
        if downsamplers(block) and not one_skip(block):
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


def layers_by_list(block: nn.Module) -> dict[str, list[list[nn.Module]]]:
    """What each of the block's lists holds for each layer: one module, or several (AudioLDM 2's attentions).

    AttnSkipUpBlock2D has one attention behind all its layers: that is no list of layers. ControlNet-XS has
    one convolution between its nets for each layer and then one for the downsampler: that is left out.
    """
    found = {}
    count = layers_of(block)
    for name in LAYER_LISTS:
        modules = list(getattr(block, name, None) or ())
        if name in BETWEEN_NETS:
            modules = modules[:count]
        each, rest = divmod(len(modules), count)
        if each and not rest:
            found[name] = [modules[layer * each : (layer + 1) * each] for layer in range(count)]
    return found


def shorten(block: nn.Module, start: int, stop: int) -> Iterator[Swap]:
    """Leave only the layers start..stop-1 of a block."""
    for name, layers in layers_by_list(block).items():
        yield swap_child(block, name, nn.ModuleList(chain(*layers[start:stop])))


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


def cut(model: nn.Module, branch: int, make_slot: Callable[[], Slot] = Slot) -> Cut:
    """Cut a U-Net at `branch`: 0 keeps the outermost skip connection only.

    Args:
        model: the U-Net.
        branch: which skip connections stay.
        make_slot: of what stands in for the mid block.

    Raises:
        ValueError: the model has no such branch.
    """
    found = entries(model)
    check_branch(model, branch, len(found))
    entry = found[branch]
    slot, tap = make_slot(), Tap(f"mmcache.branch{branch}")
    down, up = list(model.down_blocks), list(model.up_blocks)  # type: ignore[arg-type]
    skip = skips(model)[entry.skip]

    shrink = [swap_child(model, "down_blocks", nn.ModuleList(down[: skip.block + 1]))]
    if skip.block >= 0:
        last = down[skip.block]
        if not skip.downsampled:
            shrink += shorten(last, 0, skip.layers)
        if not skip.downsampled and not one_skip(last):
            shrink += [swap_child(last, name, None) for name in downsamplers(last)]
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
        before = chain(*(layers[entry.layer - 1] for layers in layers_by_list(first).values()))
        *_, last_module = (module for module in before if module is not None)
        listen += tap.on_output(last_module)
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
        return arguments_of_skip_branch(call, entry.skip + 1, whole_blocks)

    return Cut(
        branch,
        tuple(shrink),
        slot,
        tap,
        tuple(listen),
        arguments,
        residuals=lambda given: entry.skip + 1,
    )


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
        return cut(model, branch, SlotOfTwo if self.two_nets else Slot)


class SlotOfTwo(Slot):
    """Stands for a mid block that returns the hidden states of two nets; the second is not used."""

    def forward(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, None]:  # type: ignore[override]
        return super().forward(*args, **kwargs), None


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
