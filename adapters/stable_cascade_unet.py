"""Stable Cascade: the U-Nets of its stages C (prior) and B (decoder)."""

from mmcache.architectures.adapter import Adapter
from mmcache.architectures.registry import register
from mmcache.layouts.level_unet import LevelUNet

layout = LevelUNet(
    down="down_blocks",
    beside_down=("down_downscalers", "down_repeat_mappers"),
    up="up_blocks",
    beside_up=("up_repeat_mappers", "up_upscalers"),
)

register(
    Adapter(
        name="Stable Cascade U-Net",
        denoisers=("StableCascadeUNet",),
        cut=layout.cut,
        branches=layout.branches,
        timestep="timestep_ratio",
    )
)
