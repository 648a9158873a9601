"""Latte: every spatial block is followed by a temporal one (arXiv 2401.03048)."""

from mmcache.architectures.registry import register
from mmcache.architectures.transformer import transformer

register(
    transformer(
        "Latte",
        "LatteTransformer3DModel",
        lists=("transformer_blocks", "temporal_transformer_blocks"),
        together=True,
    )
)
