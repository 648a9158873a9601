"""Z-Image: text and picture in one stream, latents in a list (arXiv 2511.22699)."""

from mmcache.cuts.residuals import Residuals, by_number
from mmcache.registry import register
from mmcache.transformer import IMAGE_TRANSFORMER, transformer

register(
    transformer(
        "Z-Image",
        "ZImageTransformer2DModel",
        sample="x",
        timestep="t",
        family=IMAGE_TRANSFORMER,
        residuals=(Residuals("layers", by_number, "controlnet_block_samples"),),
    )
)
