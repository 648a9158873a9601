"""Würstchen's stage B: a U-Net with one skip connection per level (arXiv 2306.00637)."""

from mmcache.extend import Adapter, LevelUNet, register

register(
    Adapter(
        name="Würstchen decoder",
        denoisers=("WuerstchenDiffNeXt",),
        layout=LevelUNet(down="down_blocks", up="up_blocks", both_ways="effnet_mappers"),
        sample="x",
        timestep="r",
    )
)
