"""Würstchen's stage C: a stack of residual blocks without skip connections (arXiv 2306.00637)."""

from mmcache.adapter import Adapter
from mmcache.block_stack import BlockStack
from mmcache.forecast import Taylor
from mmcache.plan import Plan
from mmcache.policy import Uniform
from mmcache.registry import register

# A layer is a convolution, a timestep and an attention block.
layout = BlockStack("blocks", entrance="projection", streams=("x",), group=3)
measured = "interval and order that were best for the image U-Net; not measured on a trained Würstchen"

register(
    Adapter(
        name="Würstchen prior",
        denoisers=("WuerstchenPrior",),
        cut=layout.cut,
        branches=layout.branches,
        default_plan=Plan(Uniform(3), Taylor(1), branch=0, evidence=measured),
        sample="x",
        timestep="r",
    )
)
