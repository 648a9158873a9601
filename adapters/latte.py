"""Latte: every spatial block is followed by a temporal one (arXiv 2401.03048)."""

from mmcache.extend import HIDDEN, VIDEO_LATENT, register, transformer, transformer_call

register(
    transformer(
        "Latte",
        "LatteTransformer3DModel",
        streams={"transformer_blocks": HIDDEN, "temporal_transformer_blocks": HIDDEN},
        interleaved=True,
        example_call=transformer_call(
            VIDEO_LATENT,
            "caption_channels",
            pixels="8*sample_size",
            frames="video_length",
            tokens="120",
            along=1,
        ),
    )
)
