"""Stable Video Diffusion: layers that mix a spatial and a temporal branch (arXiv 2311.15127)."""

from mmcache.adapter import Adapter
from mmcache.cuts.unet import branches, cut
from mmcache.registry import register

register(
    Adapter(
        name="image-to-video U-Net",
        denoisers=("UNetSpatioTemporalConditionModel",),
        cut=cut,
        branches=branches,
    )
)
