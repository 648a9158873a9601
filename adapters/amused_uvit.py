"""aMUSEd: transformer layers between two convolutional blocks, over image tokens (arXiv 2401.01808)."""

from mmcache.architectures.adapter import Adapter
from mmcache.architectures.registry import register
from mmcache.layouts.block_stack import BlockStack
from mmcache.plans.forecast import Hold
from mmcache.plans.plan import Plan
from mmcache.plans.policy import Uniform

# At branch 0 the convolutional blocks alone are what stays.
layout = BlockStack(("transformer_layers",), ends=0)

register(
    Adapter(
        name="aMUSEd U-ViT",
        denoisers=("UVit2DModel",),
        cut=layout.cut,
        branches=layout.branches,
        default_plan=Plan(
            Uniform(2),
            Hold(),
            branch=0,
            evidence="none: not measured on a trained model. Tokens are unmasked in jumps, so nothing is "
            "extrapolated, and its runs of 12 steps leave little to reuse",
        ),
        sample="input_ids",
        timestep=None,
    )
)
