"""I2VGen-XL: the text-to-video layers, with the first picture beside the latents (arXiv 2311.04145)."""

from mmcache.adapter import Adapter
from mmcache.forecast import Taylor
from mmcache.plan import Plan
from mmcache.policy import Uniform
from mmcache.registry import register
from mmcache.unet import branches, cut

register(
    Adapter(
        name="I2VGen-XL U-Net",
        denoisers=("I2VGenXLUNet",),
        cut=cut,
        branches=branches,
        default_plan=Plan(
            Uniform(3),
            Taylor(1),
            branch=0,
            evidence="that of the image U-Net, whose layers it shares, with temporal ones behind them; no "
            "trained model of this class ships with mmcache to measure it on",
        ),
    )
)
