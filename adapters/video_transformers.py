"""Transformers that make video, with or without sound."""

from functools import partial

from mmcache.extend import (
    HIDDEN,
    HIDDEN_TEXT,
    VIDEO_LATENT,
    If,
    register,
    transformer,
    transformer_call,
)

BLOCKS, TWO_STREAMS = {"transformer_blocks": HIDDEN}, {"transformer_blocks": HIDDEN_TEXT}
PAIRS = TWO_STREAMS | {"single_transformer_blocks": HIDDEN_TEXT}
WAN = {"encoder_hidden_states_image": If("image_dim", "b 257 image_dim")}  # tokens of CLIP's image
# Times and places as CogVideoX counts them. CogVideoX 1.5 makes patches of two latent frames, so it adds one
# where they are odd in number.
TIMES = "(f+(patch_size_t|1)-1)//(patch_size_t|1)"
TURNED = f"{TIMES}*h//2*w//2 attention_head_dim"
COGVIDEOX = {
    "image_rotary_emb": If("use_rotary_positional_embeddings", (TURNED, TURNED)),
    "ofs": If("ofs_embed_dim", "b"),
}
POOLED = {"pooled_projections": "b in_text_dim2"}
GUIDED = {"guidance": If("guidance_embeds", "b")}
# A latent, and where there is a first frame, that and its mask.
WITH_FIRST = "b f h w in_visual_dim+visual_cond*(in_visual_dim+1)"
KANDINSKY: dict[str, str] = {"pixels": "512 768", "frames": "121", "tokens": "256"}
PACKED = "b f*h*w in_channels"
SIZES = {"num_frames": "= f", "height": "= h", "width": "= w"}
LTX = {"across": 32, "along": 8}
call = partial(transformer_call, VIDEO_LATENT)
wan = partial(call, "text_dim", tokens="512")
reading = partial(transformer, data_dependent=True)  # its forward reads a mask, lengths or indices
WAN_BLOCKS = {"blocks": HIDDEN}

for adapter in (
    transformer(
        "Wan transformer",
        "WanTransformer3DModel",
        streams=WAN_BLOCKS,
        example_call=wan(more=WAN, pixels="480 832", frames="81"),
    ),
    transformer(
        "ChronoEdit transformer",
        "ChronoEditTransformer3DModel",
        streams=WAN_BLOCKS,
        example_call=wan(more=WAN, pixels="720 1280", frames="5"),
    ),
    transformer(
        "SkyReels 2 transformer",
        "SkyReelsV2Transformer3DModel",
        streams=WAN_BLOCKS,
        example_call=wan(more=WAN, pixels="544 960", frames="97"),
    ),
    transformer(
        "AnyFlow transformer",
        "AnyFlowTransformer3DModel",
        streams=WAN_BLOCKS,
        example_call=wan(
            more=WAN | {"hidden_states": "b f in_channels h w", "timestep": "b f", "r_timestep": "b f"},
            pixels="480 832",
            frames="81",
        ),
    ),
    transformer(
        "CogVideoX transformer",
        "CogVideoXTransformer3DModel",
        streams=TWO_STREAMS,
        example_call=transformer_call(
            f"b {TIMES}*(patch_size_t|1) in_channels h w",
            "text_embed_dim",
            more=COGVIDEOX,
            pixels="8*sample_height 8*sample_width",
            frames="sample_frames",
            tokens="max_text_seq_length",
        ),
    ),
    transformer(
        "Hunyuan Video transformer",
        "HunyuanVideoTransformer3DModel",
        streams=PAIRS,
        example_call=call(
            "text_embed_dim",
            "ones",
            more={"pooled_projections": "b pooled_projection_dim"} | GUIDED,
            pixels="720 1280",
            frames="129",
            tokens="256",
        ),
    ),
    transformer(
        "LTX Video transformer",
        "LTXVideoTransformer3DModel",
        streams=BLOCKS,
        example_call=transformer_call(
            PACKED,
            "caption_channels",
            "long",
            more=SIZES,
            pixels="512 704",
            frames="161",
            tokens="128",
            **LTX,
        ),
    ),
    transformer(
        "LTX 2 transformer",
        "LTX2VideoTransformer3DModel",
        streams={"transformer_blocks": ("hidden_states", "audio_hidden_states")},
        per_step=("audio_hidden_states",),
        example_call=transformer_call(
            PACKED,
            "caption_channels",
            "long",
            more={
                "audio_hidden_states": "b 126 audio_in_channels",  # five seconds of sound
                "audio_encoder_hidden_states": "b t caption_channels",
                "sigma": "b",
                "audio_encoder_attention_mask": "long b t",
                "audio_num_frames": "= 126",
            }
            | SIZES,
            pixels="512 768",
            frames="121",
            tokens="1024",
            **LTX,
        ),
    ),
    transformer(
        "Allegro transformer",
        "AllegroTransformer3DModel",
        streams=BLOCKS,
        example_call=call(
            mask="long",
            more={
                "encoder_hidden_states": "b 1 t caption_channels",
                "image_rotary_emb": (
                    tuple((f"{side} attention_head_dim//3",) * 2 for side in ("f", "h//2", "w//2")),
                    ("long 1 f*h//2*w//2",) * 3,
                ),
            },
            pixels="720 1280",
            frames="88",
            tokens="512",
        ),
    ),
    transformer(
        "EasyAnimate transformer",
        "EasyAnimateTransformer3DModel",
        streams=TWO_STREAMS,
        example_call=call("text_embed_dim", pixels="512", frames="49", tokens="256"),
    ),
    transformer(
        "Kandinsky 5 transformer",
        "Kandinsky5Transformer3DModel",
        streams={"visual_transformer_blocks": ("visual_embed",)},
        example_call=transformer_call(
            WITH_FIRST,
            "in_text_dim",
            more=POOLED
            | {"visual_rope_pos": ["long f", "long h//2", "long w//2"], "text_rope_pos": "long t"},
            **KANDINSKY,
        ),
    ),
    transformer(
        "Kandinsky 6 transformer",
        "Kandinsky6Transformer3DModel",
        streams={"visual_transformer_blocks": ("vis", "aud")},
        per_step=("audio_hidden_states",),
        example_call=transformer_call(
            WITH_FIRST,
            "in_text_dim",
            more=POOLED | {"audio_hidden_states": "b 126 in_audio_dim"},
            **KANDINSKY,
        ),
    ),
    transformer(
        "Kandinsky 6 SR transformer",
        "Kandinsky6SRTransformer3DModel",
        streams={"visual_transformer_blocks": HIDDEN},
    ),
    reading(
        "Hunyuan Video 1.5 transformer",
        "HunyuanVideo15Transformer3DModel",
        streams=TWO_STREAMS,
        example_call=call(
            "text_embed_dim",
            "ones",
            more={
                "timestep_r": If("use_meanflow", "b"),
                "encoder_hidden_states_2": "b 256 text_embed_2_dim",
                "encoder_attention_mask_2": "ones b 256",
                "image_embeds": "ones b 729 image_embed_dim",
            },
            pixels="480 848",
            frames="121",
            tokens="1000",
            across=16,
        ),
    ),
    reading(
        "FramePack transformer",
        "HunyuanVideoFramepackTransformer3DModel",
        streams=PAIRS,
        example_call=call(
            "text_embed_dim",
            "bool",
            more={
                "pooled_projections": "b pooled_projection_dim",
                "image_embeds": "b 729 image_proj_dim",
                "indices_latents": "long b f",
                "latents_clean": "b in_channels 2 h w",
                "indices_latents_clean": "long b 2",
                "latents_history_2x": "b in_channels 2 h w",
                "indices_latents_history_2x": "long b 2",
                "latents_history_4x": "b in_channels 16 h w",
                "indices_latents_history_4x": "long b 16",
            }
            | GUIDED,
            pixels="720 1280",
            frames="33",
            tokens="256",
        ),
    ),
    reading(
        "Helios transformer",
        "HeliosTransformer3DModel",
        streams=WAN_BLOCKS,
        example_call=wan(
            more={
                "indices_hidden_states": "long b f",
                "latents_history_short": "b in_channels 2 h w",
                "indices_latents_history_short": "long b 2",
                "latents_history_mid": "b in_channels 2 h w",
                "indices_latents_history_mid": "long b 2",
                "latents_history_long": "b in_channels 16 h w",
                "indices_latents_history_long": "long b 16",
            },
            pixels="384 640",
            frames="33",
        ),
    ),
    reading(
        "Mochi transformer",
        "MochiTransformer3DModel",
        streams=TWO_STREAMS,
        example_call=call("text_embed_dim", "bool", pixels="480 848", frames="163", tokens="256", along=6),
    ),
    reading("Sana WM transformer", "SanaWMTransformer3DModel", streams={"blocks": ("x",)}),
):
    register(adapter)
