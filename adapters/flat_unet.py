"""Versatile Diffusion's text U-Net: image U-Net blocks of linear layers (arXiv 2211.08332)."""

from mmcache.adapter import Adapter
from mmcache.forecast import Taylor
from mmcache.plan import Plan
from mmcache.policy import Uniform
from mmcache.registry import register
from mmcache.unet import branches, cut

register(
    Adapter(
        name="flat U-Net",
        denoisers=("UNetFlatConditionModel",),
        cut=cut,
        branches=branches,
        default_plan=Plan(
            Uniform(3),
            Taylor(1),
            branch=0,
            evidence="that of the image U-Net, whose layout it copies; not measured on a trained model",
        ),
    )
)
