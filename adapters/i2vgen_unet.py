"""I2VGen-XL: the text-to-video layers, with the first picture beside the latents (arXiv 2311.04145)."""

from mmcache.architectures.adapter import Adapter
from mmcache.architectures.registry import register
from mmcache.layouts.skip_unet import branches, cut

register(
    Adapter(
        name="I2VGen-XL U-Net",
        denoisers=("I2VGenXLUNet",),
        cut=cut,
        branches=branches,
    )
)
