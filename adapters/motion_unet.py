"""Image U-Nets with motion modules: AnimateDiff, PIA (arXiv 2307.04725)."""

from mmcache.adapter import Adapter
from mmcache.registry import register
from mmcache.unet import branches, cut

register(
    Adapter(
        name="motion U-Net",
        denoisers=("UNetMotionModel",),
        cut=cut,
        branches=branches,
    )
)
