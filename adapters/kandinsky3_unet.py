"""Kandinsky 3: a U-Net with one skip connection per level (arXiv 2312.03511)."""

from mmcache.adapter import Adapter
from mmcache.cuts.level_unet import LevelUNet
from mmcache.registry import register

layout = LevelUNet(down="down_blocks", up="up_blocks", entrance="conv_in")

register(
    Adapter(
        name="Kandinsky 3 U-Net",
        denoisers=("Kandinsky3UNet",),
        cut=layout.cut,
        branches=layout.branches,
    )
)
