"""Attention processors that somebody may read: the layers that have them must run at every step.

Self-attention guidance, LEDITS++ and Pix2Pix-Zero put processors of their own into the U-Net, and look at the
attention maps that these have stored after each call. On a cached step the deep layers store nothing, and the
pipeline would go on with the maps of another step.
"""

from collections.abc import Iterable, Set

from torch import nn

from mmcache.compat.layer_readers import is_put_on

OF_DIFFUSERS = "diffusers.models."  # its own processors, also those of IP-Adapter and PAG, only compute

# Defined by pipelines, but they only compute, or store only in calls that are differentiated.
COMPUTE_ONLY = {"AttendExciteAttnProcessor", "CrossFrameAttnProcessor", "CrossFrameAttnProcessor2_0"}


def modules_that_are_read(model: nn.Module) -> list[nn.Module]:
    """The layers whose attention processors may be read.

    A processor class of one's own that only computes can say so: `computes_only = True`.
    """
    return [module for module in model.modules() if is_read(processor_of(module))]


def processor_of(module: nn.Module) -> object:
    """The attention processor of a layer, a plain attribute or a child; None where there is none."""
    return getattr(module, "processor", None)


def attention_readers(suspects: Iterable[nn.Module], kept: Iterable[Set[nn.Module]]) -> tuple[str, ...]:
    """The processor classes that may be read, in layers that a cached step leaves out.

    Args:
        suspects: the layers whose processors may be read.
        kept: the modules that a cached step runs, for each branch.
    """
    dead = (module for alive in kept for module in suspects if module not in alive)
    return tuple(sorted({type(processor_of(module)).__name__ for module in dead}))


def is_read(processor: object) -> bool:
    """Whether an attention processor may be one that somebody reads."""
    kind = type(processor)
    return (
        processor is not None
        and (not kind.__module__.startswith(OF_DIFFUSERS) or is_put_on(kind, "__call__"))
        and kind.__name__ not in COMPUTE_ONLY
        and not getattr(processor, "computes_only", False)
    )
