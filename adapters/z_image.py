"""Z-Image: text and image in one stream, latents in a list (arXiv 2511.22699)."""

from mmcache.extend import (
    IMAGE_TRANSFORMER,
    Each,
    Residuals,
    TransformerCall,
    by_number,
    register,
    transformer,
)

register(
    transformer(
        "Z-Image",
        "ZImageTransformer2DModel",
        streams={"layers": ("x",)},
        sample="x",
        timestep="t",
        family=IMAGE_TRANSFORMER,
        residuals=(Residuals("layers", by_number, "controlnet_block_samples"),),
        example_call=TransformerCall(
            {"x": Each("b", "in_channels 1 h w"), "t": "b", "cap_feats": Each("b", "t cap_feat_dim")},
            tokens="512",
        ),
    )
)
