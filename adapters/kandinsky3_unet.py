"""Kandinsky 3: a U-Net with one skip connection per level (arXiv 2312.03511)."""

from mmcache.extend import Adapter, LevelUNet, register

register(Adapter("Kandinsky 3 U-Net", ("Kandinsky3UNet",), LevelUNet(down="down_blocks", up="up_blocks")))
