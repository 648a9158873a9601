"""Stable Video Diffusion: layers that mix a spatial and a temporal branch (arXiv 2311.15127)."""

from mmcache.adapter import Adapter
from mmcache.forecast import Taylor
from mmcache.plan import Plan
from mmcache.policy import Uniform
from mmcache.registry import register
from mmcache.unet import branches, cut

register(
    Adapter(
        name="image-to-video U-Net",
        denoisers=("UNetSpatioTemporalConditionModel",),
        cut=cut,
        branches=branches,
        default_plan=Plan(
            Uniform(3),
            Taylor(1),
            branch=0,
            evidence="that of the image U-Net, whose arrangement of layers it shares; no "
            "trained model of this class ships with mmcache to measure it on",
        ),
    )
)
