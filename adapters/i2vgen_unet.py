"""I2VGen-XL: the text-to-video layers, with the first picture beside the latents (arXiv 2311.04145)."""

from mmcache.adapter import Adapter
from mmcache.cuts.unet import branches, cut
from mmcache.registry import register

register(
    Adapter(
        name="I2VGen-XL U-Net",
        denoisers=("I2VGenXLUNet",),
        cut=cut,
        branches=branches,
    )
)
