"""U-Nets with temporal convolutions and attentions behind the spatial ones: ModelScope, Zeroscope."""

from mmcache.adapter import Adapter
from mmcache.cuts.unet import branches, cut
from mmcache.registry import register

register(
    Adapter(
        name="text-to-video U-Net",
        denoisers=("UNet3DConditionModel",),
        cut=cut,
        branches=branches,
    )
)
