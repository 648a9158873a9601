"""Attention processors that somebody may read: the layers that have them must run at every step.

Self-attention guidance, LEDITS++ and Pix2Pix-Zero put processors of their own into the U-Net, and look at the
attention maps that these have stored after each call. On a cached step the deep layers store nothing, and the
pipeline would go on with the maps of another step.
"""

from collections.abc import Iterable, Sequence

from torch import nn

from mmcache.patching.swap import Swap, swapped

OF_DIFFUSERS = "diffusers.models."  # its own processors, also those of IP-Adapter and PAG, only compute

# Defined by pipelines, but they only compute, or store only in calls that are differentiated.
COMPUTE_ONLY = {"AttendExciteAttnProcessor", "CrossFrameAttnProcessor", "CrossFrameAttnProcessor2_0"}


def attention_readers(model: nn.Module, cuts: Iterable[Sequence[Swap]]) -> tuple[str, ...]:
    """The processor classes that may be read, in layers that one of these lists of swaps leaves out.

    It is looked at when a run begins. A processor class of one's own that only computes can say so:
    `computes_only = True`.
    """
    suspects = [module for module in model.modules() if is_read(getattr(module, "processor", None))]
    found = set()
    for cut in cuts if suspects else ():
        with swapped(cut):
            alive = set(model.modules())
        found |= {type(module.processor).__name__ for module in suspects if module not in alive}
    return tuple(sorted(found))


def is_read(processor: object) -> bool:
    """Whether an attention processor may be one that somebody reads."""
    kind = type(processor)
    return (
        processor is not None
        and not kind.__module__.startswith(OF_DIFFUSERS)
        and kind.__name__ not in COMPUTE_ONLY
        and not getattr(processor, "computes_only", False)
    )
