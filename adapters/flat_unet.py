"""Versatile Diffusion's text U-Net: image U-Net blocks of linear layers (arXiv 2211.08332)."""

from mmcache.adapter import Adapter
from mmcache.cuts.unet import branches, cut
from mmcache.registry import register

register(
    Adapter(
        name="flat U-Net",
        denoisers=("UNetFlatConditionModel",),
        cut=cut,
        branches=branches,
    )
)
