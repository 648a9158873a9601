"""Cosmos Predict and Transfer (arXiv 2501.03575, 2503.14492)."""

from mmcache.registry import register
from mmcache.transformer import transformer

register(
    transformer(
        "Cosmos",
        "CosmosTransformer3DModel",
        streams={"transformer_blocks": ("hidden_states",)},  # a ControlNet's blocks return more
    )
)
