"""Z-Image: text and picture in one stream, latents in a list (arXiv 2511.22699)."""

from mmcache.cuts.residuals import Residuals, by_number
from mmcache.registry import register
from mmcache.transformer import transformer

RESIDUALS = (Residuals("layers", by_number, "controlnet_block_samples"),)

register(transformer("Z-Image", "ZImageTransformer2DModel", sample="x", timestep="t", residuals=RESIDUALS))
