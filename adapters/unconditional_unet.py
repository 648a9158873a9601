"""U-Nets without text: DDPM, DDIM, LDM and score-SDE models of class `UNet2DModel`."""

from mmcache.adapter import Adapter
from mmcache.forecast import Taylor
from mmcache.plan import Plan
from mmcache.policy import Uniform
from mmcache.registry import register
from mmcache.unet import branches, cut

register(
    Adapter(
        name="unconditional U-Net",
        denoisers=("UNet2DModel",),
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
