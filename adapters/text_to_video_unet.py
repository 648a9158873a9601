"""U-Nets with temporal convolutions and attentions behind the spatial ones: ModelScope, Zeroscope."""

from mmcache.adapter import Adapter
from mmcache.forecast import Taylor
from mmcache.plan import Plan
from mmcache.policy import Uniform
from mmcache.registry import register
from mmcache.unet import branches, cut

register(
    Adapter(
        name="text-to-video U-Net",
        denoisers=("UNet3DConditionModel",),
        cut=cut,
        branches=branches,
        default_plan=Plan(
            Uniform(3),
            Taylor(1),
            branch=0,
            evidence="that of the image U-Net, whose layers it shares, with temporal ones behind them; no "
            "trained model of this class ships with mmcache to measure it on",
        ),
    )
)
