"""Würstchen's stage B: a U-Net with one skip connection per level (arXiv 2306.00637)."""

from mmcache.architectures.adapter import Adapter
from mmcache.architectures.registry import register
from mmcache.layouts.level_unet import LevelUNet

layout = LevelUNet(down="down_blocks", up="up_blocks", both_ways="effnet_mappers")

register(
    Adapter(
        name="Würstchen decoder",
        denoisers=("WuerstchenDiffNeXt",),
        cut=layout.cut,
        branches=layout.branches,
        sample="x",
        timestep="r",
    )
)
