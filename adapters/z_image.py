"""Z-Image and Bria Fibo 2: text and picture in one stream (arXiv 2511.22699)."""

from mmcache.registry import register
from mmcache.transformer import transformer

register(transformer("Z-Image", "ZImageTransformer2DModel", sample="x", timestep="t"))
register(transformer("Bria Fibo 2", "BriaFibo2Transformer2DModel"))
