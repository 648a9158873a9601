"""AudioLDM 2: a spectrogram's U-Net, several attentions per layer (arXiv 2308.05734)."""

from mmcache.adapter import Adapter
from mmcache.cuts.unet import branches, cut
from mmcache.registry import register

register(
    Adapter(
        name="audio U-Net",
        denoisers=("AudioLDM2UNet2DConditionModel",),
        cut=cut,
        branches=branches,
    )
)
