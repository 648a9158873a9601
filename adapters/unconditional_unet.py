"""U-Nets without text: DDPM, DDIM, LDM and score-SDE models of class `UNet2DModel`."""

from mmcache.architectures.adapter import Adapter
from mmcache.architectures.registry import register
from mmcache.layouts.skip_unet import branches, cut

register(
    Adapter(
        name="unconditional U-Net",
        denoisers=("UNet2DModel",),
        cut=cut,
        branches=branches,
    )
)
