"""HiDream-I1: two streams, then one, each block with text of its own (arXiv 2505.22705)."""

from mmcache.extend import HIDDEN, HIDDEN_TEXT, IMAGE_TRANSFORMER, register, transformer

register(
    transformer(
        "HiDream",
        "HiDreamImageTransformer2DModel",
        streams={"double_stream_blocks": HIDDEN_TEXT, "single_stream_blocks": HIDDEN},
        timestep="timesteps",
        family=IMAGE_TRANSFORMER,
        data_dependent=True,  # which experts a token goes to
    )
)
