"""ControlNet-XS: `UNetControlNetXSModel`, a Stable Diffusion U-Net with a small control net inside."""

from mmcache.adapter import Adapter
from mmcache.controlnet_xs import cut
from mmcache.registry import register
from mmcache.unet import branches

register(
    Adapter(
        name="ControlNet-XS U-Net",
        denoisers=("UNetControlNetXSModel",),
        cut=cut,
        branches=branches,
    )
)
