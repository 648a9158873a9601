"""U-Nets with temporal convolutions and attentions behind the spatial ones: ModelScope, Zeroscope."""

from mmcache.architectures.adapter import Adapter
from mmcache.architectures.registry import register
from mmcache.layouts.skip_unet import branches, cut

register(
    Adapter(
        name="text-to-video U-Net",
        denoisers=("UNet3DConditionModel",),
        cut=cut,
        branches=branches,
    )
)
