"""AudioLDM 2: a spectrogram's U-Net, several attentions per layer (arXiv 2308.05734)."""

from mmcache.architectures.adapter import Adapter
from mmcache.architectures.registry import register
from mmcache.layouts.skip_unet import branches, cut

register(
    Adapter(
        name="audio U-Net",
        denoisers=("AudioLDM2UNet2DConditionModel",),
        cut=cut,
        branches=branches,
    )
)
