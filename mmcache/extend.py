"""All that the author of an adapter needs, in one place: `adapters/README.md` shows how to use it.

from mmcache.extend import Adapter, SkipUNet, register

register(Adapter("my U-Net", ("MyUNetModel",), SkipUNet()))
"""

from mmcache.architectures.adapter import Adapter, SideAdapter
from mmcache.architectures.example_call import (
    LATENT,
    PACKED,
    VIDEO_LATENT,
    ExampleCall,
    Size,
    TransformerCall,
    transformer_call,
)
from mmcache.architectures.inference import general_adapter
from mmcache.architectures.registry import register
from mmcache.architectures.shapes import Each, If
from mmcache.architectures.transformer import (
    HIDDEN,
    HIDDEN_TEXT,
    IMAGE_TRANSFORMER,
    TEXT_HIDDEN,
    refused,
    transformer,
)
from mmcache.architectures.unet_call import UNetCall
from mmcache.layouts.block_stack import BlockStack
from mmcache.layouts.controlnet import SideUNet
from mmcache.layouts.cut import Cut, Given, Slot, Tap, check_branch
from mmcache.layouts.layout import Layout, SideLayout
from mmcache.layouts.level_unet import LevelUNet
from mmcache.layouts.residuals import (
    Residuals,
    by_number,
    every,
    from_the_second,
    listed,
    mirrored,
    spread,
    spread_evenly,
)
from mmcache.layouts.side_stack import SideStack
from mmcache.layouts.skip_unet import SkipUNet
from mmcache.patching.swap import Swap, swap_child
from mmcache.plans.forecast import Hold, Taylor
from mmcache.plans.plan import Plan
from mmcache.plans.policy import Uniform

__all__ = [
    "HIDDEN",
    "HIDDEN_TEXT",
    "IMAGE_TRANSFORMER",
    "LATENT",
    "PACKED",
    "TEXT_HIDDEN",
    "VIDEO_LATENT",
    "Adapter",
    "BlockStack",
    "Cut",
    "Each",
    "ExampleCall",
    "Given",
    "Hold",
    "If",
    "Layout",
    "LevelUNet",
    "Plan",
    "Residuals",
    "SideAdapter",
    "SideLayout",
    "SideStack",
    "SideUNet",
    "Size",
    "SkipUNet",
    "Slot",
    "Swap",
    "Tap",
    "Taylor",
    "TransformerCall",
    "UNetCall",
    "Uniform",
    "by_number",
    "check_branch",
    "every",
    "from_the_second",
    "general_adapter",
    "listed",
    "mirrored",
    "refused",
    "register",
    "spread",
    "spread_evenly",
    "swap_child",
    "transformer",
    "transformer_call",
]
