"""Which layers of a model stay on a cached step, in words: from what a cut leaves reachable."""

from collections.abc import Iterator
from typing import NamedTuple

from torch import nn

from mmcache.layouts.cut import Cut
from mmcache.tools.inspecting.stack_words import words_of_stack

ENDS = ("conv_in", "conv_out")
SHORT = {"down_blocks": "down", "up_blocks": "up"}  # other lists are called by their own names
RESAMPLERS = ("downsamplers", "upsamplers")


class Block(NamedTuple):
    """A block of one of a model's lists.

    Attributes:
        side: name of the list, "down" or "up" in most models.
        number: its place in the list.
        module: itself.
        layers: what it runs one after another; for a block without a list of layers, itself.
    """

    side: str
    number: int
    module: nn.Module
    layers: list[nn.Module]


def blocks(model: nn.Module, cut: Cut) -> list[Block]:
    """The blocks of the lists that a cut makes shorter, in the order in which the model has them."""
    touched = {(swap.owner, swap.key) for swap in cut.shrink if swap.table == "_modules"}
    found = []
    for holder in model.modules():
        for name, child in holder._modules.items():
            shortened = (holder, name) in touched
            if shortened and isinstance(child, nn.ModuleList) and name.endswith("blocks"):
                found += [
                    Block(SHORT.get(name, name), number, block, layers_of(block))
                    for number, block in enumerate(child)
                ]
    return found


def layers_of(block: nn.Module) -> list[nn.Module]:
    resnets = getattr(block, "resnets", None)
    return list(resnets) if isinstance(resnets, nn.ModuleList) else [block]


def staying(model: nn.Module, cut: Cut) -> set[int]:
    """The ids of the modules that a cached step can reach."""
    return {id(module) for module in cut.remaining(model)}


def words(model: nn.Module, cut: Cut) -> str:
    """conv_in, down 0: layer 0 | up 3: layer 2, conv_out."""
    if of_stack := words_of_stack(cut):
        return of_stack
    left = staying(model, cut)
    sides: dict[str, list[str]] = {}
    for block in blocks(model, cut):
        sides.setdefault(block.side, [])
        if text := " and ".join(parts(block, left)):
            sides[block.side].append(f"{block.side} {block.number}: {text}")
    halves = list(sides.values()) or [[]]
    conv_in, conv_out = ([name] if isinstance(getattr(model, name, None), nn.Module) else [] for name in ENDS)
    halves[0] = conv_in + halves[0]
    halves[-1] = halves[-1] + conv_out
    return " | ".join(", ".join(half) or "nothing" for half in halves)


def parts(block: Block, left: set[int]) -> Iterator[str]:
    """What of a block stays: layers, and the module behind them that changes the resolution."""
    kept = [index for index, layer in enumerate(block.layers) if id(layer) in left]
    resamplers = [
        (name[:-1], id(resampler) in left)
        for name in RESAMPLERS
        if isinstance(resampler := getattr(block.module, name, None), nn.Module)
    ]
    if len(kept) == len(block.layers) and all(stays for _, stays in resamplers):
        yield "all"
        return
    if kept:
        first, last = kept[0], kept[-1]
        yield f"layer {first}" if first == last else f"layers {first}-{last}"
    yield from (name for name, stays in resamplers if stays)
