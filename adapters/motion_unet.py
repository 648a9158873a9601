"""Image U-Nets with motion modules: AnimateDiff, PIA (arXiv 2307.04725)."""

from mmcache.architectures.adapter import Adapter
from mmcache.architectures.registry import register
from mmcache.layouts.skip_unet import branches, cut

register(
    Adapter(
        name="motion U-Net",
        denoisers=("UNetMotionModel",),
        cut=cut,
        branches=branches,
        family="video",
    )
)
