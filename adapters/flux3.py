"""Flux 3: blocks for each kind of token, then blocks over all of them (Black Forest Labs, 2026).

The blocks of the words and of the image run before the two streams meet, and always run: a cached step leaves
out most of those over all tokens, 28 of the model's 33 layers.
"""

from mmcache.extend import (
    IMAGE_TRANSFORMER,
    PACKED,
    TEXT_HIDDEN,
    If,
    register,
    transformer,
    transformer_call,
)

PLACES = {"img_ids": "h*w 4", "txt_ids": "t 4", "target_timestep": If("flow_map", "b")}

register(
    transformer(
        "Flux 3",
        "Flux3Transformer2DModel",
        family=IMAGE_TRANSFORMER,
        streams={"single_transformer_blocks": TEXT_HIDDEN},
        per_step=("target_timestep",),
        example_call=transformer_call(PACKED, "joint_attention_dim", more=PLACES, tokens="512", across=16),
    )
)
