"""Cosmos Predict and Transfer (arXiv 2501.03575, 2503.14492), and Cosmos 3, which also has sound."""

from mmcache.extend import HIDDEN, VIDEO_LATENT, Residuals, every, register, transformer, transformer_call

EVERY = every("controlnet_block_every_n")
CONTROL = Residuals("transformer_blocks", EVERY, "block_controlnet_hidden_states", inside=True)

register(
    transformer(
        "Cosmos",
        "CosmosTransformer3DModel",
        streams={"transformer_blocks": HIDDEN},
        residuals=(CONTROL,),
        example_call=transformer_call(
            VIDEO_LATENT,
            "text_embed_dim",
            more={"fps": "= 30", "padding_mask": "1 1 8*h 8*w"},
            pixels="704 1280",
            frames="121",
            tokens="512",
            along=8,
        ),
    )
)
register(
    transformer(
        "Cosmos 3",
        "Cosmos3OmniTransformer",
        streams={"layers": ("und_seq", "gen_seq")},
        sample="vision_tokens",
        timestep="vision_timesteps",
        data_dependent=True,
    )
)
