"""Versatile Diffusion's text U-Net: image U-Net blocks of linear layers (arXiv 2211.08332)."""

from mmcache.adapter import Adapter
from mmcache.registry import register
from mmcache.unet import branches, cut

register(
    Adapter(
        name="flat U-Net",
        denoisers=("UNetFlatConditionModel",),
        cut=cut,
        branches=branches,
    )
)
