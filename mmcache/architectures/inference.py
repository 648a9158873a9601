"""A denoiser that nobody has described: its blocks are looked for, where somebody asks for it.

    mmcache.register(mmcache.general_adapter(pipe.transformer))

Found are lists of blocks of one class, directly in the model, whose own forward shows what they hand on. That
is a guess. The first full step of a run shows whether the deep part is cut out and put back right
(`mmcache.engine.verification`); it cannot show that the blocks are residual, so compare the images.
"""

from collections.abc import Iterator

from torch import nn

from mmcache.architectures.adapter import Adapter
from mmcache.architectures.block_source import streams_of
from mmcache.architectures.transformer import UNMEASURED
from mmcache.architectures.undescribed import sample_argument, time_argument
from mmcache.errors import UnsupportedPipelineError
from mmcache.layouts.block_stack import BlockStack

LEAST = 3  # blocks, of which the middle one is the deep part


def general_adapter(model: nn.Module) -> Adapter:
    """An adapter for models of this class, to be registered.

    A denoiser is known by an argument that holds the time.

    Args:
        model: the denoiser; it is only looked at.

    Raises:
        UnsupportedPipelineError: it is no denoiser with a stack of blocks.
    """
    time, sample = time_argument(model), sample_argument(model)
    lists = tuple(block_lists(model))
    if time is None or not lists:
        missing = "no argument that holds the time" if time is None else "no list of blocks of one class"
        raise UnsupportedPipelineError(
            f"{type(model).__name__} has {missing}, so nothing can be found: adapters/README.md says how to "
            f"describe it"
        )
    return Adapter(
        name=f"found: {' and '.join(lists)}",
        denoisers=(type(model).__name__,),
        layout=BlockStack({name: streams_of(getattr(model, name)[0]) for name in lists}),
        default_plan=UNMEASURED,
        sample=sample or "",
        timestep=time,
        inferred=True,
    )


def block_lists(model: nn.Module) -> Iterator[str]:
    """The names of the lists that hold most of a model's blocks, in the order in which it has them."""
    found = {}
    for name, child in model.named_children():
        blocks = list(child) if isinstance(child, nn.ModuleList) else []
        if len(blocks) >= LEAST and len({type(block) for block in blocks}) == 1 and shows_streams(blocks[0]):
            found[name] = sum(weight.numel() for weight in child.parameters())
    yield from (name for name, weights in found.items() if 2 * weights >= max(found.values()))


def shows_streams(block: nn.Module) -> bool:
    try:
        return bool(streams_of(block))
    except UnsupportedPipelineError:
        return False
