"""Image U-Nets with motion modules: AnimateDiff, PIA (arXiv 2307.04725)."""

from mmcache.adapter import Adapter
from mmcache.cuts.unet import branches, cut
from mmcache.registry import register

register(
    Adapter(
        name="motion U-Net",
        denoisers=("UNetMotionModel",),
        cut=cut,
        branches=branches,
        family="video",
    )
)
