"""Flux 2 and Klein: two streams, then one of both together (Black Forest Labs, 2025)."""

from mmcache.extend import (
    HIDDEN,
    IMAGE_TRANSFORMER,
    PACKED,
    TEXT_HIDDEN,
    If,
    register,
    transformer,
    transformer_call,
)

PLACES = {"img_ids": "b h*w 4", "txt_ids": "b t 4", "guidance": If("guidance_embeds", "b")}

register(
    transformer(
        "Flux 2",
        "Flux2Transformer2DModel",
        family=IMAGE_TRANSFORMER,
        streams={"transformer_blocks": TEXT_HIDDEN, "single_transformer_blocks": HIDDEN},
        example_call=transformer_call(PACKED, "joint_attention_dim", more=PLACES, tokens="512", across=16),
    )
)
