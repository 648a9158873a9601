"""Würstchen's stage C: a stack of residual blocks without skip connections (arXiv 2306.00637)."""

from mmcache.extend import Adapter, BlockStack, register

register(
    Adapter(
        name="Würstchen prior",
        denoisers=("WuerstchenPrior",),
        layout=BlockStack({"blocks": ("x",)}, group=3),  # a convolution, a timestep, an attention block
        sample="x",
        timestep="r",
    )
)
