"""Würstchen's stage C: a stack of residual blocks without skip connections (arXiv 2306.00637)."""

from mmcache.architectures.adapter import Adapter
from mmcache.architectures.registry import register
from mmcache.layouts.block_stack import BlockStack

# A layer is a convolution, a timestep and an attention block.
layout = BlockStack(("blocks",), streams={"blocks": ("x",)}, group=3)

register(
    Adapter(
        name="Würstchen prior",
        denoisers=("WuerstchenPrior",),
        cut=layout.cut,
        branches=layout.branches,
        sample="x",
        timestep="r",
    )
)
