"""ControlNet-XS: `UNetControlNetXSModel`, a Stable Diffusion U-Net with a small control net inside."""

from mmcache.architectures.adapter import Adapter
from mmcache.architectures.registry import register
from mmcache.layouts.controlnet_xs import cut
from mmcache.layouts.skip_unet import branches

register(
    Adapter(
        name="ControlNet-XS U-Net",
        denoisers=("UNetControlNetXSModel",),
        cut=cut,
        branches=branches,
    )
)
