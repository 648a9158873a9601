"""Würstchen's stage B: a U-Net with one skip connection per level (arXiv 2306.00637)."""

from mmcache.adapter import Adapter
from mmcache.forecast import Taylor
from mmcache.level_unet import LevelUNet
from mmcache.plan import Plan
from mmcache.policy import Uniform
from mmcache.registry import register

layout = LevelUNet(down="down_blocks", up="up_blocks", entrance="embedding", both_ways="effnet_mappers")
measured = "interval and order that were best for the image U-Net; not measured on a trained Würstchen"

register(
    Adapter(
        name="Würstchen decoder",
        denoisers=("WuerstchenDiffNeXt",),
        cut=layout.cut,
        branches=layout.branches,
        default_plan=Plan(Uniform(3), Taylor(1), branch=0, evidence=measured),
        sample="x",
        timestep="r",
    )
)
