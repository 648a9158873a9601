"""U-Nets without text: DDPM, DDIM, LDM and score-SDE models of class `UNet2DModel`."""

from mmcache.adapter import Adapter
from mmcache.cuts.unet import branches, cut
from mmcache.registry import register

register(
    Adapter(
        name="unconditional U-Net",
        denoisers=("UNet2DModel",),
        cut=cut,
        branches=branches,
    )
)
