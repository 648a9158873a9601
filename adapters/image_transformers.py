"""Transformers that make images and that differ in their lists, their streams and the arguments of a call."""

from functools import partial

from mmcache.extend import (
    HIDDEN,
    HIDDEN_TEXT,
    IMAGE_TRANSFORMER,
    PACKED,
    TEXT_HIDDEN,
    Each,
    If,
    register,
    transformer,
    transformer_call,
)

BLOCKS, LAYERS = {"transformer_blocks": HIDDEN}, {"layers": HIDDEN}
TWO_STREAMS = {"transformer_blocks": HIDDEN_TEXT}
PAIRS = {"transformer_blocks": TEXT_HIDDEN, "single_transformer_blocks": TEXT_HIDDEN}
PAIRS_THEN_ONE = {"transformer_blocks": TEXT_HIDDEN, "single_transformer_blocks": HIDDEN}

SQUARE = "8*sample_size"
PATCHED = "b in_channels 2*h 2*w"  # where h and w count patches
IDS = {"img_ids": "h*w 3", "txt_ids": "t 3"}
SIZES = {"target_size": "b 2", "crop_coords": "b 2"}
QWEN_SHAPES = {"img_shapes": Each("b", ("= 1", "= h", "= w"))}
SECOND_TEXT = {
    "timestep_r": If("use_meanflow", "b"),
    "encoder_hidden_states_2": If("text_embed_2_dim", "b 128 text_embed_2_dim"),
    "encoder_attention_mask_2": If("text_embed_2_dim", "long b 128"),
    "guidance": If("guidance_embeds", "b"),
}
call = transformer_call
image = partial(transformer, family=IMAGE_TRANSFORMER)
reading = partial(image, data_dependent=True)  # its forward reads a mask, lengths or numbers of experts

for adapter in (
    image(
        "DiT transformer",
        "DiTTransformer2DModel",
        streams=BLOCKS,
        example_call=call(more={"class_labels": "long b"}, pixels=SQUARE),
    ),
    image(
        "PixArt transformer",
        "PixArtTransformer2DModel",
        streams=BLOCKS,
        example_call=call(
            text="caption_channels|cross_attention_dim",
            mask="long",
            more={"added_cond_kwargs": {"resolution": "b 2", "aspect_ratio": "b 1"}},
            pixels=SQUARE,
            tokens="120",
        ),
    ),
    image(
        "Lumina Next transformer",
        "LuminaNextDiT2DModel",
        streams=LAYERS,
        example_call=call(
            text="cross_attention_dim",
            more={
                "encoder_mask": "long b t",
                "image_rotary_emb": "complex 384 384 hidden_size//num_attention_heads//2",
                "cross_attention_kwargs": {"base_sequence_length": "= sample_size*sample_size//4"},
            },
            pixels=SQUARE,
            tokens="256",
        ),
    ),
    image(
        "VQ-Diffusion transformer",
        "Transformer2DModel",
        streams=BLOCKS,
        example_call=call(
            "long b h*w",  # latents are numbers of a codebook
            "cross_attention_dim",
            more={"timestep": "long"},  # one for all
            pixels=SQUARE,
            tokens="77",
        ),
    ),
    image(
        "CogView transformer",
        *("CogView3PlusTransformer2DModel", "CogView4Transformer2DModel"),
        streams=TWO_STREAMS,
        example_call=call(text="text_embed_dim", more={"original_size": "b 2"} | SIZES, tokens="224"),
    ),
    image(
        "AuraFlow transformer",
        "AuraFlowTransformer2DModel",
        streams={"joint_transformer_blocks": TEXT_HIDDEN, "single_transformer_blocks": HIDDEN},
        example_call=call(text="joint_attention_dim", tokens="256"),
    ),
    image(
        "Bria Fibo transformer",
        "BriaFiboTransformer2DModel",
        streams=PAIRS_THEN_ONE,
        example_call=call(
            PACKED,
            "joint_attention_dim",
            more=IDS | {"text_encoder_layers": Each("num_layers+num_single_layers", "b t text_encoder_dim")},
            tokens="1024",
            across=16,
        ),
    ),
    image(
        "Ovis Image transformer",
        "OvisImageTransformer2DModel",
        streams=PAIRS,
        example_call=call(PACKED, "joint_attention_dim", more=IDS, tokens="256", across=16),
    ),
    image(
        "LongCat Image transformer",
        "LongCatImageTransformer2DModel",
        streams=PAIRS,
        example_call=call(PACKED, "joint_attention_dim", more=IDS, tokens="512", across=16),
    ),
    image(
        "PRX transformer",
        "PRXTransformer2DModel",
        streams={"blocks": HIDDEN},
        example_call=call(
            text="context_in_dim", more={"attention_mask": "bool b t"}, pixels="512", tokens="256"
        ),
    ),
    image(
        "Krea 2 transformer",
        "Krea2Transformer2DModel",
        streams=BLOCKS,
        example_call=call(
            PACKED,
            "num_text_layers text_hidden_dim",
            "bool",
            more={"position_ids": "t+h*w 3"},
            tokens="512",
            across=16,
        ),
    ),
    image(
        "JoyImage Edit transformer",
        "JoyImageEditTransformer3DModel",
        streams={"double_blocks": HIDDEN_TEXT},
        # The latent, and that of the image that is edited.
        example_call=call("b 2 in_channels 1 h w", "text_dim", tokens="1024"),
    ),
    image(
        "JoyImage Edit Plus transformer",
        "JoyImageEditPlusTransformer3DModel",
        streams={"double_blocks": HIDDEN_TEXT},
    ),
    reading(
        "Hunyuan Image transformer",
        "HunyuanImageTransformer2DModel",
        streams={"transformer_blocks": HIDDEN_TEXT, "single_transformer_blocks": HIDDEN_TEXT},
        example_call=call(
            text="text_embed_dim", mask="long", more=SECOND_TEXT, pixels="2048", tokens="1000", across=32
        ),
    ),
    reading(
        "Lumina 2 transformer",
        "Lumina2Transformer2DModel",
        streams=LAYERS,
        example_call=call(text="cap_feat_dim", mask="bool", tokens="256"),
    ),
    reading(
        "GLM Image transformer",
        "GlmImageTransformer2DModel",
        streams=TWO_STREAMS,
        example_call=call(
            PATCHED,
            "text_embed_dim",
            more={"prior_token_id": "long b h*w", "prior_token_drop": "bool b h*w"} | SIZES,
            tokens="64",
            across=16,
        ),
    ),
    reading("Qwen Image 2.1 transformer", "QwenImage21Transformer2DModel", streams=BLOCKS),
    reading(
        "Ernie Image transformer",
        "ErnieImageTransformer2DModel",
        streams={"layers": ("x",)},
        example_call=call(
            more={"text_bth": "b t text_in_dim", "text_lens": "long b"}, tokens="256", across=16
        ),
    ),
    reading(
        "Bria Fibo 2 transformer",
        "BriaFibo2Transformer2DModel",
        streams={"layers": ("x",)},
        example_call=call(
            more={"encoder_hidden_states": "b 1+injection_layer_ids t cap_feat_dim"}, tokens="1024"
        ),
    ),
    reading(
        "Ideogram 4 transformer",
        "Ideogram4Transformer2DModel",
        streams=LAYERS,
        example_call=call(
            "b t+h*w in_channels",
            more={
                "encoder_hidden_states": "b t+h*w llm_features_dim",
                "position_ids": "long b t+h*w 3",
                **dict.fromkeys(("segment_ids", "indicator"), "long b t+h*w"),
            },
            tokens="512",
            across=16,
        ),
    ),
    reading(
        "Nucleus Image transformer",
        "NucleusMoEImageTransformer2DModel",
        streams=BLOCKS,
        example_call=call(PACKED, "joint_attention_dim", more=QWEN_SHAPES, tokens="512", across=16),
    ),
    reading(
        "OmniGen transformer",
        "OmniGenTransformer2DModel",
        streams=LAYERS,
        example_call=call(
            PATCHED,
            more={
                "input_ids": "long b t",
                "input_img_latents": [],
                "input_image_sizes": {},
                "attention_mask": "ones b t+1+h*w t+1+h*w",
                "position_ids": "long b t+1+h*w",
            },
            tokens="64",
            across=16,
        ),
    ),
    # The embedding of an image, not the image.
    transformer(
        "prior transformer",
        "PriorTransformer",
        streams=BLOCKS,
        example_call=call(
            "b embedding_dim",
            more={
                "proj_embedding": "b embedding_proj_dim|embedding_dim",
                "encoder_hidden_states": "b num_embeddings embedding_dim",
                "attention_mask": "bool b num_embeddings",
            },
            pixels="",
        ),
    ),
):
    register(adapter)
