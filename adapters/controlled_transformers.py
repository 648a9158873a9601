"""Transformers that have ControlNets, or a ControlNet within: which of their blocks gets which residual."""

from functools import partial

from mmcache.extend import (
    HIDDEN,
    IMAGE_TRANSFORMER,
    PACKED,
    TEXT_HIDDEN,
    VIDEO_LATENT,
    Each,
    If,
    Residuals,
    from_the_second,
    listed,
    mirrored,
    register,
    spread,
    spread_evenly,
    transformer,
    transformer_call,
)

PAIRS = {"transformer_blocks": TEXT_HIDDEN, "single_transformer_blocks": TEXT_HIDDEN}
SAMPLES = "controlnet_block_samples"
FLUX_RESIDUALS = (
    Residuals("transformer_blocks", spread, SAMPLES, repeated="controlnet_blocks_repeat"),
    Residuals("single_transformer_blocks", spread, "controlnet_single_block_samples"),
)
SANA_RESIDUALS = (Residuals("transformer_blocks", from_the_second, SAMPLES),)
IDS = {"img_ids": "h*w 3", "txt_ids": "t 3"}
GUIDED = {"guidance": If("guidance_embeds", "b")}
packed = partial(transformer_call, PACKED, "joint_attention_dim", across=16)
image = partial(transformer, family=IMAGE_TRANSFORMER)

for adapter in (
    image(
        "Flux transformer",
        "FluxTransformer2DModel",
        streams=PAIRS,
        residuals=FLUX_RESIDUALS,
        example_call=packed(
            more=IDS | {"pooled_projections": "b pooled_projection_dim"} | GUIDED, tokens="512"
        ),
    ),
    image(
        "Chroma transformer",
        "ChromaTransformer2DModel",
        streams={"transformer_blocks": TEXT_HIDDEN, "single_transformer_blocks": HIDDEN},
        residuals=FLUX_RESIDUALS,
        example_call=packed(more=IDS | {"attention_mask": "b t+h*w"}, tokens="512"),
    ),
    image(
        "Bria transformer",
        "BriaTransformer2DModel",
        streams=PAIRS,
        residuals=FLUX_RESIDUALS,
        example_call=packed(more=IDS | GUIDED, tokens="128"),
    ),
    image(
        "SD3 transformer",
        "SD3Transformer2DModel",
        streams={"transformer_blocks": TEXT_HIDDEN},
        residuals=(Residuals("transformer_blocks", spread_evenly, "block_controlnet_hidden_states"),),
        example_call=transformer_call(
            text="joint_attention_dim",
            more={"pooled_projections": "b pooled_projection_dim"},
            tokens="77+256",  # of CLIP and of T5
        ),
    ),
    image(
        "QwenImage transformer",
        "QwenImageTransformer2DModel",
        streams={"transformer_blocks": TEXT_HIDDEN},
        residuals=(Residuals("transformer_blocks", spread, SAMPLES),),
        example_call=packed(more={"img_shapes": Each("b", ("= 1", "= h", "= w"))} | GUIDED, tokens="512"),
    ),
    image(
        "Sana transformer",
        "SanaTransformer2DModel",
        streams={"transformer_blocks": HIDDEN},
        residuals=SANA_RESIDUALS,
        example_call=transformer_call(
            text="caption_channels",
            mask="long",
            more=GUIDED,
            pixels="32*sample_size",
            tokens="300",
            across=32,
        ),
    ),
    image(
        "HunyuanDiT transformer",
        "HunyuanDiT2DModel",
        streams={"blocks": HIDDEN},
        residuals=(Residuals("blocks", mirrored, SAMPLES, inside=True),),
        example_call=transformer_call(
            "b in_channels 2*h 2*w",
            more={
                "encoder_hidden_states": "b text_len cross_attention_dim",
                "text_embedding_mask": "long b text_len",
                "encoder_hidden_states_t5": "b text_len_t5 cross_attention_dim_t5",
                "text_embedding_mask_t5": "long b text_len_t5",
                "image_meta_size": "b 6",
                "style": "long b",
                "image_rotary_emb": ("h*w attention_head_dim",) * 2,
            },
            pixels="8*sample_size",
            across=16,
        ),
    ),
    transformer(
        "SanaVideo transformer",
        "SanaVideoTransformer3DModel",
        streams={"transformer_blocks": HIDDEN},
        residuals=SANA_RESIDUALS,
        example_call=transformer_call(
            VIDEO_LATENT, "caption_channels", "long", pixels="480 832", frames="81", tokens="300"
        ),
    ),
    transformer(
        "WanVACE transformer",
        "WanVACETransformer3DModel",
        streams={"blocks": HIDDEN},
        residuals=(Residuals("blocks", listed("vace_layers"), made_by="vace_blocks"),),
        example_call=transformer_call(
            VIDEO_LATENT,
            "text_dim",
            more={
                "encoder_hidden_states_image": If("image_dim", "b 257 image_dim"),
                "control_hidden_states": "b vace_in_channels f h w",
            },
            pixels="480 832",
            frames="81",
            tokens="512",
        ),
    ),
):
    register(adapter)
