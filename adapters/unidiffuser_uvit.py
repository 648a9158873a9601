"""UniDiffuser: a U-ViT, transformer layers with long skip connections (arXiv 2303.06555)."""

from mmcache.architectures.adapter import Adapter
from mmcache.architectures.registry import register
from mmcache.layouts.level_unet import LevelUNet

layout = LevelUNet(
    within="transformer",
    down="transformer_in_blocks",
    middle="transformer_mid_block",
    up="transformer_out_blocks",
)

register(
    Adapter(
        name="UniDiffuser U-ViT",
        denoisers=("UniDiffuserModel",),
        cut=layout.cut,
        branches=layout.branches,
        sample="latent_image_embeds",
        timestep=None,  # it has two, of the picture and of the text, and either may stand still
    )
)
