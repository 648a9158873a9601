"""Usual calls of transformers that make pictures, and of those that make embeddings for them."""

from collections.abc import Mapping

from mmcache.tools.inspecting.typical import Each, Typical

PACKED = "b h*w in_channels"  # a token for each patch of 2x2
LATENT = "b in_channels h w"
PATCHED = "b in_channels 2*h 2*w"  # where h and w count patches
IDS = {"img_ids": "h*w 3", "txt_ids": "t 3"}
SIZES = {"original_size": "b 2", "target_size": "b 2", "crop_coords": "b 2"}
GUIDED = {"guidance": "guidance_embeds"}
QWEN = {
    "hidden_states": PACKED,
    "encoder_hidden_states": "b t joint_attention_dim",
    "timestep": "b",
    "img_shapes": Each("b", ("= 1", "= h", "= w")),
}


def flux(tokens: str, **more: object) -> Typical:
    """Latents and text side by side, with a place for each."""
    shapes = {"hidden_states": PACKED, "encoder_hidden_states": "b t joint_attention_dim", "timestep": "b"}
    return Typical(shapes | IDS | more, tokens=tokens, across=16, only=GUIDED if "guidance" in more else {})


IMAGE_CALLS: Mapping[str, Typical] = {
    "FluxTransformer2DModel": flux("512", pooled_projections="b pooled_projection_dim", guidance="b"),
    "ChromaTransformer2DModel": flux("512", attention_mask="b t+h*w"),
    "BriaTransformer2DModel": flux("128", guidance="b"),
    "LongCatImageTransformer2DModel": flux("512"),
    "OvisImageTransformer2DModel": flux("256"),
    "BriaFiboTransformer2DModel": flux(
        "1024", text_encoder_layers=Each("num_layers+num_single_layers", "b t text_encoder_dim")
    ),
    "Flux2Transformer2DModel": flux("512", img_ids="b h*w 4", txt_ids="b t 4", guidance="b"),
    "SD3Transformer2DModel": Typical(
        {
            "hidden_states": LATENT,
            "encoder_hidden_states": "b t joint_attention_dim",
            "pooled_projections": "b pooled_projection_dim",
            "timestep": "b",
        },
        tokens="77+256",  # of CLIP and of T5
    ),
    "AuraFlowTransformer2DModel": Typical(
        {"hidden_states": LATENT, "encoder_hidden_states": "b t joint_attention_dim", "timestep": "b"},
        tokens="256",
    ),
    "PixArtTransformer2DModel": Typical(
        {
            "hidden_states": LATENT,
            "encoder_hidden_states": "b t caption_channels|cross_attention_dim",
            "encoder_attention_mask": "long b t",
            "timestep": "b",
            "added_cond_kwargs": {"resolution": "b 2", "aspect_ratio": "b 1"},
        },
        height="8*sample_size",
        width="8*sample_size",
        tokens="120",
    ),
    "DiTTransformer2DModel": Typical(
        {"hidden_states": LATENT, "timestep": "b", "class_labels": "long b"},
        height="8*sample_size",
        width="8*sample_size",
    ),
    "SanaTransformer2DModel": Typical(
        {
            "hidden_states": LATENT,
            "encoder_hidden_states": "b t caption_channels",
            "encoder_attention_mask": "long b t",
            "timestep": "b",
            "guidance": "b",
        },
        height="32*sample_size",
        width="32*sample_size",
        tokens="300",
        across=32,
        only=GUIDED,
    ),
    "HunyuanDiT2DModel": Typical(
        {
            "hidden_states": PATCHED,
            "timestep": "b",
            "encoder_hidden_states": "b text_len cross_attention_dim",
            "text_embedding_mask": "long b text_len",
            "encoder_hidden_states_t5": "b text_len_t5 cross_attention_dim_t5",
            "text_embedding_mask_t5": "long b text_len_t5",
            "image_meta_size": "b 6",
            "style": "long b",
            "image_rotary_emb": ("h*w attention_head_dim", "h*w attention_head_dim"),
        },
        height="8*sample_size",
        width="8*sample_size",
        across=16,
    ),
    "LuminaNextDiT2DModel": Typical(
        {
            "hidden_states": LATENT,
            "timestep": "b",
            "encoder_hidden_states": "b t cross_attention_dim",
            "encoder_mask": "long b t",
            "image_rotary_emb": "complex 384 384 hidden_size//num_attention_heads//2",
            "cross_attention_kwargs": {"base_sequence_length": "= sample_size*sample_size//4"},
        },
        height="8*sample_size",
        width="8*sample_size",
        tokens="256",
    ),
    "Lumina2Transformer2DModel": Typical(
        {
            "hidden_states": LATENT,
            "timestep": "b",
            "encoder_hidden_states": "b t cap_feat_dim",
            "encoder_attention_mask": "bool b t",
        },
        tokens="256",
    ),
    **dict.fromkeys(
        ("CogView3PlusTransformer2DModel", "CogView4Transformer2DModel"),
        Typical(
            {"hidden_states": LATENT, "encoder_hidden_states": "b t text_embed_dim", "timestep": "b"} | SIZES,
            tokens="224",
        ),
    ),
    "GlmImageTransformer2DModel": Typical(
        {
            "hidden_states": PATCHED,
            "encoder_hidden_states": "b t text_embed_dim",
            "prior_token_id": "long b h*w",
            "prior_token_drop": "bool b h*w",
            "timestep": "b",
            "target_size": "b 2",
            "crop_coords": "b 2",
        },
        tokens="64",
        across=16,
    ),
    "QwenImageTransformer2DModel": Typical(QWEN | {"guidance": "b"}, tokens="512", across=16, only=GUIDED),
    "NucleusMoEImageTransformer2DModel": Typical(QWEN, tokens="512", across=16),
    "PRXTransformer2DModel": Typical(
        {
            "hidden_states": LATENT,
            "timestep": "b",
            "encoder_hidden_states": "b t context_in_dim",
            "attention_mask": "bool b t",
        },
        height="512",
        width="512",
        tokens="256",
    ),
    "Krea2Transformer2DModel": Typical(
        {
            "hidden_states": PACKED,
            "encoder_hidden_states": "b t num_text_layers text_hidden_dim",
            "timestep": "b",
            "position_ids": "t+h*w 3",
            "encoder_attention_mask": "bool b t",
        },
        tokens="512",
        across=16,
    ),
    "JoyImageEditTransformer3DModel": Typical(
        # The latent, and that of the picture that is edited.
        {"hidden_states": "b 2 in_channels 1 h w", "timestep": "b", "encoder_hidden_states": "b t text_dim"},
        tokens="1024",
    ),
    "ErnieImageTransformer2DModel": Typical(
        {"hidden_states": LATENT, "timestep": "b", "text_bth": "b t text_in_dim", "text_lens": "long b"},
        tokens="256",
        across=16,
    ),
    "BriaFibo2Transformer2DModel": Typical(
        {
            "hidden_states": "b in_channels h w",
            "timestep": "b",
            "encoder_hidden_states": "b 1+injection_layer_ids t cap_feat_dim",
        },
        tokens="1024",
    ),
    "HunyuanImageTransformer2DModel": Typical(
        {
            "hidden_states": LATENT,
            "timestep": "b",
            "timestep_r": "b",
            "encoder_hidden_states": "b t text_embed_dim",
            "encoder_attention_mask": "long b t",
            "encoder_hidden_states_2": "b 128 text_embed_2_dim",
            "encoder_attention_mask_2": "long b 128",
            "guidance": "b",
        },
        height="2048",
        width="2048",
        tokens="1000",
        across=32,
        only=GUIDED
        | {"timestep_r": "use_meanflow"}
        | dict.fromkeys(("encoder_hidden_states_2", "encoder_attention_mask_2"), "text_embed_2_dim"),
    ),
    "Ideogram4Transformer2DModel": Typical(
        {
            "hidden_states": "b t+h*w in_channels",
            "timestep": "b",
            "encoder_hidden_states": "b t+h*w llm_features_dim",
            "position_ids": "long b t+h*w 3",
            "segment_ids": "long b t+h*w",
            "indicator": "long b t+h*w",
        },
        tokens="512",
        across=16,
    ),
    "OmniGenTransformer2DModel": Typical(
        {
            "hidden_states": PATCHED,
            "timestep": "b",
            "input_ids": "long b t",
            "input_img_latents": [],
            "input_image_sizes": {},
            "attention_mask": "ones b t+1+h*w t+1+h*w",
            "position_ids": "long b t+1+h*w",
        },
        tokens="64",
        across=16,
    ),
    "ZImageTransformer2DModel": Typical(
        {"x": Each("b", "in_channels 1 h w"), "t": "b", "cap_feats": Each("b", "t cap_feat_dim")},
        tokens="512",
    ),
    "PriorTransformer": Typical(
        {
            "hidden_states": "b embedding_dim",
            "timestep": "b",
            "proj_embedding": "b embedding_proj_dim|embedding_dim",
            "encoder_hidden_states": "b num_embeddings embedding_dim",
            "attention_mask": "bool b num_embeddings",
        },
        height="0",
        width="0",
    ),
    "Transformer2DModel": Typical(  # VQ-Diffusion, whose latents are numbers of a codebook
        {
            "hidden_states": "long b h*w",
            "encoder_hidden_states": "b t cross_attention_dim",
            "timestep": "long",  # one for all
        },
        height="8*sample_size",
        width="8*sample_size",
        tokens="77",
    ),
}
