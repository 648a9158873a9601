"""ConsisID: CogVideoX, with a face looked at behind every other block (arXiv 2411.17440)."""

from mmcache.architectures.registry import register
from mmcache.architectures.transformer import transformer

register(
    transformer(
        "ConsisID",
        "ConsisIDTransformer3DModel",
        beside={"perceiver_cross_attention": "cross_attn_interval"},
    )
)
