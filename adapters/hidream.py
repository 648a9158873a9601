"""HiDream-I1: two streams, then one, each block with text of its own (arXiv 2505.22705)."""

from mmcache.registry import register
from mmcache.transformer import IMAGE_TRANSFORMER, transformer

register(
    transformer(
        "HiDream",
        "HiDreamImageTransformer2DModel",
        timestep="timesteps",
        family=IMAGE_TRANSFORMER,
        looks_at_data=True,  # which experts a token goes to
        streams={
            "double_stream_blocks": ("hidden_states", "encoder_hidden_states"),
            "single_stream_blocks": ("hidden_states",),
        },
    )
)
