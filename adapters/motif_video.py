"""Motif Video: two streams, one, and last blocks that begin again from the latent."""

from mmcache.architectures.registry import register
from mmcache.architectures.transformer import transformer

register(
    transformer(
        "Motif Video",
        "MotifVideoTransformer3DModel",
        apart={"single_transformer_blocks": "num_decoder_layers"},
    )
)
