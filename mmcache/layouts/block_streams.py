"""Streams: the arguments that a block hands on to the next one, and their places in its call."""

import inspect

from torch import nn

from mmcache.errors import UnsupportedPipelineError
from mmcache.layouts.stand_ins import Place


def plain(block: nn.Module) -> nn.Module:
    """The block itself, where `torch.compile(block)` has put a wrapper around it."""
    return getattr(block, "_orig_mod", block)


def parameters(block: nn.Module) -> list[str]:
    """The names of a block's arguments."""
    return list(inspect.signature(type(plain(block)).forward).parameters)[1:]


def places(block: nn.Module, streams: tuple[str, ...]) -> tuple[Place, ...]:
    """The streams as arguments of this block.

    Raises:
        UnsupportedPipelineError: it has no argument of such a name.
    """
    names = parameters(block)
    for name in streams:
        if name not in names:
            raise UnsupportedPipelineError(
                f"{type(plain(block)).__name__} has no argument {name!r} that could be a stream; it has "
                f"{', '.join(names)}"
            )
    return tuple(Place(name, names.index(name)) for name in streams)
