"""Kandinsky 3: a U-Net with one skip connection per level (arXiv 2312.03511)."""

from mmcache.adapter import Adapter
from mmcache.forecast import Taylor
from mmcache.level_unet import LevelUNet
from mmcache.plan import Plan
from mmcache.policy import Uniform
from mmcache.registry import register

layout = LevelUNet(down="down_blocks", up="up_blocks", entrance="conv_in")

register(
    Adapter(
        name="Kandinsky 3 U-Net",
        denoisers=("Kandinsky3UNet",),
        cut=layout.cut,
        branches=layout.branches,
        default_plan=Plan(
            Uniform(3),
            Taylor(1),
            branch=0,
            evidence="interval and order that were best for the image U-Net; not measured on a trained "
            "Kandinsky 3",
        ),
    )
)
