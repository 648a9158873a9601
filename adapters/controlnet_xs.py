"""ControlNet-XS: `UNetControlNetXSModel`, a Stable Diffusion U-Net with a small control net inside."""

from mmcache.adapter import Adapter
from mmcache.controlnet_xs import cut
from mmcache.forecast import Taylor
from mmcache.plan import Plan
from mmcache.policy import Uniform
from mmcache.registry import register
from mmcache.unet import branches

register(
    Adapter(
        name="ControlNet-XS U-Net",
        denoisers=("UNetControlNetXSModel",),
        cut=cut,
        branches=branches,
        default_plan=Plan(
            Uniform(3),
            Taylor(1),
            branch=0,
            evidence="that of the image U-Net, whose blocks it shares; no trained model of this class ships "
            "with mmcache to measure it on",
        ),
    )
)
