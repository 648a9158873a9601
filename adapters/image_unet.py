"""Image U-Nets: Stable Diffusion 1.x, 2.x, SDXL and all that share `UNet2DConditionModel`."""

from mmcache.adapter import Adapter
from mmcache.cuts.unet import branches, cut
from mmcache.plans.forecast import Taylor
from mmcache.plans.plan import Plan
from mmcache.plans.policy import Uniform
from mmcache.registry import register

WHOLE = (
    "text-to-image miniature, 50 DDIM steps, 24 captions: 2.51x fewer MACs, 58.2 dB to the full run, 45.7 dB "
    "without extrapolation (python -m mmcache.demos.portraits.trade_off)"
)
SEAM = (
    "inpainting miniature, 50 DDIM steps, 30 edits: 2.40x fewer MACs, 65.1 dB around the border, 62.5 dB "
    "without two full steps at the end (python -m mmcache.demos.portraits.inpainting.seam)"
)

register(
    Adapter(
        name="image U-Net",
        denoisers=("UNet2DConditionModel",),
        cut=cut,
        branches=branches,
        default_plan=Plan(Uniform(3), Taylor(1), branch=0, evidence=WHOLE),
        plans={"mask_image": Plan(Uniform(3, cooldown=2), Taylor(1), branch=0, evidence=SEAM)},
    )
)
