"""Stable Video Diffusion: layers that mix a spatial and a temporal branch (arXiv 2311.15127)."""

from mmcache.architectures.adapter import Adapter
from mmcache.architectures.registry import register
from mmcache.layouts.skip_unet import branches, cut

register(
    Adapter(
        name="image-to-video U-Net",
        denoisers=("UNetSpatioTemporalConditionModel",),
        cut=cut,
        branches=branches,
    )
)
