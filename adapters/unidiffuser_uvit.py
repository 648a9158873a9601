"""UniDiffuser: a U-ViT, transformer layers with long skip connections (arXiv 2303.06555)."""

from mmcache.extend import Adapter, LevelUNet, register

register(
    Adapter(
        name="UniDiffuser U-ViT",
        denoisers=("UniDiffuserModel",),
        layout=LevelUNet(
            within="transformer",
            down="transformer_in_blocks",
            middle="transformer_mid_block",
            up="transformer_out_blocks",
        ),
        sample="latent_image_embeds",
        timestep=None,  # it has two, of the image and of the text, and either may stand still
        per_step=("image_embeds", "prompt_embeds", "timestep_img", "timestep_text"),
    )
)
