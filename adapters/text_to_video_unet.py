"""U-Nets with temporal convolutions and attentions behind the spatial ones: ModelScope, Zeroscope."""

from mmcache.adapter import Adapter
from mmcache.registry import register
from mmcache.unet import branches, cut

register(
    Adapter(
        name="text-to-video U-Net",
        denoisers=("UNet3DConditionModel",),
        cut=cut,
        branches=branches,
    )
)
