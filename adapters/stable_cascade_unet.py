"""Stable Cascade: the U-Nets of its stages C (prior) and B (decoder)."""

from mmcache.adapter import Adapter
from mmcache.forecast import Taylor
from mmcache.level_unet import LevelUNet
from mmcache.plan import Plan
from mmcache.policy import Uniform
from mmcache.registry import register

layout = LevelUNet(
    down="down_blocks",
    beside_down=("down_downscalers", "down_repeat_mappers"),
    up="up_blocks",
    beside_up=("up_repeat_mappers", "up_upscalers"),
    entrance="embedding",
)
measured = "interval and order that were best for the image U-Net; not measured on a trained Stable Cascade"

register(
    Adapter(
        name="Stable Cascade U-Net",
        denoisers=("StableCascadeUNet",),
        cut=layout.cut,
        branches=layout.branches,
        default_plan=Plan(Uniform(3), Taylor(1), branch=0, evidence=measured),
        timestep="timestep_ratio",
    )
)
