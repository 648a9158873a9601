"""Image U-Nets: Stable Diffusion 1.x, 2.x, SDXL and all that share `UNet2DConditionModel`."""

from mmcache.adapter import Adapter
from mmcache.cuts.unet import branches, cut
from mmcache.registry import register

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
