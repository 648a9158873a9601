"""Image U-Nets with motion modules: AnimateDiff, PIA (arXiv 2307.04725)."""

from mmcache.adapter import Adapter
from mmcache.forecast import Taylor
from mmcache.plan import Plan
from mmcache.policy import Uniform
from mmcache.registry import register
from mmcache.unet import branches, cut

register(
    Adapter(
        name="motion U-Net",
        denoisers=("UNetMotionModel",),
        cut=cut,
        branches=branches,
        default_plan=Plan(
            Uniform(3),
            Taylor(1),
            branch=0,
            evidence="that of the image U-Net, whose blocks it shares, with motion modules in them; no "
            "trained model of this class ships with mmcache to measure it on",
        ),
    )
)
