"""Z-Image: text and picture in one stream, latents in a list (arXiv 2511.22699)."""

from mmcache.architectures.registry import register
from mmcache.architectures.transformer import IMAGE_TRANSFORMER, transformer
from mmcache.layouts.residuals import Residuals, by_number

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
