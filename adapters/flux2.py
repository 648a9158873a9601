"""Flux 2 and Klein: two streams, then one of both together (Black Forest Labs, 2025)."""

from mmcache.architectures.registry import register
from mmcache.architectures.transformer import IMAGE_TRANSFORMER, transformer

register(
    transformer(
        "Flux 2",
        "Flux2Transformer2DModel",
        family=IMAGE_TRANSFORMER,
        streams={"single_transformer_blocks": ("hidden_states",)},  # its blocks can also return two
    )
)
