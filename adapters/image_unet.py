"""Image U-Nets: Stable Diffusion 1.x, 2.x, SDXL and all that share `UNet2DConditionModel`."""

from mmcache.architectures.adapter import Adapter
from mmcache.architectures.registry import register
from mmcache.layouts.skip_unet import branches, cut

register(
    Adapter(
        name="image U-Net",
        denoisers=("UNet2DConditionModel",),
        cut=cut,
        branches=branches,
        family="image",
        tasks={"mask_image": "inpainting"},
    )
)
