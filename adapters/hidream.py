"""HiDream-I1: two streams, then one, each block with text of its own (arXiv 2505.22705)."""

from mmcache.architectures.registry import register
from mmcache.architectures.transformer import IMAGE_TRANSFORMER, transformer

register(
    transformer(
        "HiDream",
        "HiDreamImageTransformer2DModel",
        timestep="timesteps",
        family=IMAGE_TRANSFORMER,
        data_dependent=True,  # which experts a token goes to
        streams={
            "double_stream_blocks": ("hidden_states", "encoder_hidden_states"),
            "single_stream_blocks": ("hidden_states",),
        },
    )
)
