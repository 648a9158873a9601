"""The blocks of diffusers' U-Nets: where their layers are, and where skip connections are made.

Every U-Net of diffusers hands its skip connections over as one tuple, outermost first: conv_in's output, then
each layer's and each downsampler's output. Up blocks take theirs from the end, as many as they have resnets.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from torch import nn

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
