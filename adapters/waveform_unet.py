"""U-Nets over one dimension: Dance Diffusion (waveforms) and the planners of Diffuser (trajectories)."""

from mmcache.architectures.adapter import Adapter
from mmcache.architectures.registry import register
from mmcache.layouts.level_unet import LevelUNet

layout = LevelUNet(down="down_blocks", middle="mid_block", up="up_blocks")

register(
    Adapter(
        name="waveform U-Net",
        denoisers=("UNet1DModel",),
        cut=layout.cut,
        branches=layout.branches,
    )
)
