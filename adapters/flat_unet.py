"""Versatile Diffusion's text U-Net: image U-Net blocks of linear layers (arXiv 2211.08332)."""

from mmcache.architectures.adapter import Adapter
from mmcache.architectures.registry import register
from mmcache.layouts.skip_unet import branches, cut

register(
    Adapter(
        name="flat U-Net",
        denoisers=("UNetFlatConditionModel",),
        cut=cut,
        branches=branches,
    )
)
