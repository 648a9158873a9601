"""U-Nets over one dimension: Dance Diffusion (waveforms) and the planners of Diffuser (trajectories)."""

from mmcache.adapter import Adapter
from mmcache.forecast import Taylor
from mmcache.level_unet import LevelUNet
from mmcache.plan import Plan
from mmcache.policy import Uniform
from mmcache.registry import register

layout = LevelUNet(down="down_blocks", middle="mid_block", up="up_blocks")

register(
    Adapter(
        name="waveform U-Net",
        denoisers=("UNet1DModel",),
        cut=layout.cut,
        branches=layout.branches,
        default_plan=Plan(
            Uniform(3),
            Taylor(1),
            branch=0,
            evidence="interval and order that were best for the image U-Net; not measured on a trained "
            "model of one dimension",
        ),
    )
)
