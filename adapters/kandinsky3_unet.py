"""Kandinsky 3: a U-Net with one skip connection per level (arXiv 2312.03511)."""

from mmcache.architectures.adapter import Adapter
from mmcache.architectures.registry import register
from mmcache.layouts.level_unet import LevelUNet

layout = LevelUNet(down="down_blocks", up="up_blocks")

register(
    Adapter(
        name="Kandinsky 3 U-Net",
        denoisers=("Kandinsky3UNet",),
        cut=layout.cut,
        branches=layout.branches,
    )
)
