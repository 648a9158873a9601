"""ControlNet-XS: `UNetControlNetXSModel`, a Stable Diffusion U-Net with a small control net inside."""

from mmcache.adapter import Adapter
from mmcache.cuts.controlnet_xs import cut
from mmcache.cuts.unet import branches
from mmcache.registry import register

register(
    Adapter(
        name="ControlNet-XS U-Net",
        denoisers=("UNetControlNetXSModel",),
        cut=cut,
        branches=branches,
    )
)
