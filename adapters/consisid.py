"""ConsisID: CogVideoX, with a face looked at behind every other block (arXiv 2411.17440)."""

from mmcache.extend import HIDDEN_TEXT, Each, If, register, transformer, transformer_call

TIMES = "(f+(patch_size_t|1)-1)//(patch_size_t|1)"  # see CogVideoX
TURNED = f"{TIMES}*h//2*w//2 attention_head_dim"
FACE = {
    "id_cond": If("is_train_face", "b LFE_id_dim"),
    "id_vit_hidden": If("is_train_face", Each("LFE_num_scale", "b 577 LFE_vit_dim")),
}

register(
    transformer(
        "ConsisID",
        "ConsisIDTransformer3DModel",
        streams={"transformer_blocks": HIDDEN_TEXT},
        side_modules={"perceiver_cross_attention": "cross_attn_interval"},
        example_call=transformer_call(
            f"b {TIMES}*(patch_size_t|1) in_channels h w",
            "text_embed_dim",
            more={"image_rotary_emb": If("use_rotary_positional_embeddings", (TURNED, TURNED))} | FACE,
            pixels="8*sample_height 8*sample_width",
            frames="sample_frames",
            tokens="max_text_seq_length",
        ),
    )
)
