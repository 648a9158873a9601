"""Motif Video: two streams, one, and last blocks that begin again from the latent."""

from mmcache.extend import HIDDEN_TEXT, VIDEO_LATENT, register, transformer, transformer_call

register(
    transformer(
        "Motif Video",
        "MotifVideoTransformer3DModel",
        streams={"transformer_blocks": HIDDEN_TEXT, "single_transformer_blocks": HIDDEN_TEXT},
        separate_tail={"single_transformer_blocks": "num_decoder_layers"},
        example_call=transformer_call(
            VIDEO_LATENT, "text_embed_dim", "bool", pixels="736 1280", frames="121", tokens="512"
        ),
    )
)
