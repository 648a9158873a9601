"""AudioLDM 2: a spectrogram's U-Net, several attentions per layer (arXiv 2308.05734)."""

from mmcache.adapter import Adapter
from mmcache.forecast import Taylor
from mmcache.plan import Plan
from mmcache.policy import Uniform
from mmcache.registry import register
from mmcache.unet import branches, cut

register(
    Adapter(
        name="audio U-Net",
        denoisers=("AudioLDM2UNet2DConditionModel",),
        cut=cut,
        branches=branches,
        default_plan=Plan(
            Uniform(3),
            Taylor(1),
            branch=0,
            evidence="that of the image U-Net, whose layers it shares, with more attentions in each; no "
            "trained model of this class ships with mmcache to measure it on",
        ),
    )
)
