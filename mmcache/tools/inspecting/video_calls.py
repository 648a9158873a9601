"""Usual calls of transformers that make video."""

from collections.abc import Mapping
from typing import Any

from mmcache.tools.inspecting.typical import Each, Typical

LATENT = "b in_channels f h w"
FRAMES_FIRST = "b f in_channels h w"


def wan(height: str, width: str, frames: str, arguments: Mapping[str, Any] | None = None) -> Typical:
    """Wan and what was made from it."""
    shapes = {
        "hidden_states": LATENT,
        "timestep": "b",
        "encoder_hidden_states": "b t text_dim",
        "encoder_hidden_states_image": "b 257 image_dim",  # tokens of CLIP's picture
    }
    only = {"encoder_hidden_states_image": "image_dim"}
    return Typical(shapes | dict(arguments or {}), height, width, frames, tokens="512", only=only)


# Time and space as CogVideoX counts them; 1.5 makes patches of two latent frames, so it adds one where they
# are odd in number.
TIMES = "(f+(patch_size_t|1)-1)//(patch_size_t|1)"
TURNED = f"{TIMES}*h//2*w//2 attention_head_dim"
COGVIDEOX = {
    "hidden_states": f"b {TIMES}*(patch_size_t|1) in_channels h w",
    "encoder_hidden_states": "b t text_embed_dim",
    "timestep": "b",
    "image_rotary_emb": (TURNED, TURNED),
}
COGVIDEOX_SIZE = ("8*sample_height", "8*sample_width", "sample_frames", "max_text_seq_length")
TURNED_IF = {"image_rotary_emb": "use_rotary_positional_embeddings"}

# Of Kandinsky 5 and 6: a latent, and where there is a first frame, that and its mask.
WITH_FIRST = "b f h w in_visual_dim+visual_cond*(in_visual_dim+1)"
# Of Hunyuan's video transformers.
GUIDED = {"guidance": "guidance_embeds"}
MASKED = {"encoder_hidden_states": "b t text_embed_dim", "encoder_attention_mask": "bool b t"}

VIDEO_CALLS: Mapping[str, Typical] = {
    "WanTransformer3DModel": wan("480", "832", "81"),
    "ChronoEditTransformer3DModel": wan("720", "1280", "5"),
    "SkyReelsV2Transformer3DModel": wan("544", "960", "97"),
    "WanVACETransformer3DModel": wan(
        "480", "832", "81", {"control_hidden_states": "b vace_in_channels f h w"}
    ),
    "WanAnimateTransformer3DModel": wan(
        "720",
        "1280",
        "77",
        {
            "hidden_states": "b in_channels f+1 h w",  # a reference picture before them
            "pose_hidden_states": "b latent_channels f h w",
            "face_pixel_values": "b 3 4*f-3 motion_encoder_size motion_encoder_size",
        },
    ),
    "AnyFlowTransformer3DModel": wan(
        "480", "832", "81", {"hidden_states": FRAMES_FIRST, "timestep": "b f", "r_timestep": "b f"}
    ),
    "CogVideoXTransformer3DModel": Typical(
        COGVIDEOX | {"ofs": "b"},
        *COGVIDEOX_SIZE,
        only=TURNED_IF | {"ofs": "ofs_embed_dim"},
    ),
    "ConsisIDTransformer3DModel": Typical(
        COGVIDEOX | {"id_cond": "b LFE_id_dim", "id_vit_hidden": Each("LFE_num_scale", "b 577 LFE_vit_dim")},
        *COGVIDEOX_SIZE,
        only=TURNED_IF | dict.fromkeys(("id_cond", "id_vit_hidden"), "is_train_face"),
    ),
    "HunyuanVideoTransformer3DModel": Typical(
        MASKED
        | {
            "hidden_states": LATENT,
            "timestep": "b",
            "pooled_projections": "b pooled_projection_dim",
            "guidance": "b",
        },
        *("720", "1280", "129", "256"),
        only=GUIDED,
    ),
    "HunyuanVideo15Transformer3DModel": Typical(
        MASKED
        | {
            "hidden_states": LATENT,
            "timestep": "b",
            "timestep_r": "b",
            "encoder_hidden_states_2": "b 256 text_embed_2_dim",
            "encoder_attention_mask_2": "bool b 256",
            "image_embeds": "ones b 729 image_embed_dim",
        },
        *("480", "848", "121", "1000"),
        across=16,
        only={"timestep_r": "use_meanflow"},
    ),
    "HunyuanVideoFramepackTransformer3DModel": Typical(
        MASKED
        | {
            "hidden_states": LATENT,
            "timestep": "b",
            "pooled_projections": "b pooled_projection_dim",
            "image_embeds": "b 729 image_proj_dim",
            "indices_latents": "long b f",
            "guidance": "b",
            "latents_clean": "b in_channels 2 h w",
            "indices_latents_clean": "long b 2",
            "latents_history_2x": "b in_channels 2 h w",
            "indices_latents_history_2x": "long b 2",
            "latents_history_4x": "b in_channels 16 h w",
            "indices_latents_history_4x": "long b 16",
        },
        *("720", "1280", "33", "256"),
        only=GUIDED,
    ),
    "HeliosTransformer3DModel": Typical(
        {
            "hidden_states": LATENT,
            "timestep": "b",
            "encoder_hidden_states": "b t text_dim",
            "indices_hidden_states": "long b f",
            "indices_latents_history_short": "long b 2",
            "indices_latents_history_mid": "long b 2",
            "indices_latents_history_long": "long b 16",
            "latents_history_short": "b in_channels 2 h w",
            "latents_history_mid": "b in_channels 2 h w",
            "latents_history_long": "b in_channels 16 h w",
        },
        *("384", "640", "33", "512"),
    ),
    "LatteTransformer3DModel": Typical(
        {"hidden_states": LATENT, "timestep": "b", "encoder_hidden_states": "b t caption_channels"},
        *("8*sample_size", "8*sample_size", "video_length", "120"),
        along=1,
    ),
    "LTXVideoTransformer3DModel": Typical(
        {
            "hidden_states": "b f*h*w in_channels",
            "encoder_hidden_states": "b t caption_channels",
            "timestep": "b",
            "encoder_attention_mask": "long b t",
            "num_frames": "= f",
            "height": "= h",
            "width": "= w",
        },
        *("512", "704", "161", "128"),
        across=32,
        along=8,
    ),
    "LTX2VideoTransformer3DModel": Typical(
        {
            "hidden_states": "b f*h*w in_channels",
            "audio_hidden_states": "b 126 audio_in_channels",  # five seconds of sound
            "encoder_hidden_states": "b t caption_channels",
            "audio_encoder_hidden_states": "b t caption_channels",
            "timestep": "b",
            "sigma": "b",
            "encoder_attention_mask": "long b t",
            "audio_encoder_attention_mask": "long b t",
            "num_frames": "= f",
            "height": "= h",
            "width": "= w",
            "audio_num_frames": "= 126",
        },
        *("512", "768", "121", "1024"),
        across=32,
        along=8,
    ),
    "MochiTransformer3DModel": Typical(
        {
            "hidden_states": LATENT,
            "encoder_hidden_states": "b t text_embed_dim",
            "timestep": "b",
            "encoder_attention_mask": "bool b t",
        },
        *("480", "848", "163", "256"),
        along=6,
    ),
    "MotifVideoTransformer3DModel": Typical(
        MASKED | {"hidden_states": LATENT, "timestep": "b"}, *("736", "1280", "121", "512")
    ),
    "AllegroTransformer3DModel": Typical(
        {
            "hidden_states": LATENT,
            "encoder_hidden_states": "b 1 t caption_channels",
            "encoder_attention_mask": "long b t",
            "timestep": "b",
            "image_rotary_emb": (
                tuple((f"{side} attention_head_dim//3",) * 2 for side in ("f", "h//2", "w//2")),
                ("long 1 f*h//2*w//2",) * 3,
            ),
        },
        *("720", "1280", "88", "512"),
    ),
    "EasyAnimateTransformer3DModel": Typical(
        {"hidden_states": LATENT, "timestep": "b", "encoder_hidden_states": "b t text_embed_dim"},
        *("512", "512", "49", "256"),
    ),
    "SanaVideoTransformer3DModel": Typical(
        {
            "hidden_states": LATENT,
            "encoder_hidden_states": "b t caption_channels",
            "encoder_attention_mask": "long b t",
            "timestep": "b",
        },
        *("480", "832", "81", "300"),
    ),
    "Kandinsky5Transformer3DModel": Typical(
        {
            "hidden_states": WITH_FIRST,
            "encoder_hidden_states": "b t in_text_dim",
            "pooled_projections": "b in_text_dim2",
            "timestep": "b",
            "visual_rope_pos": ["long f", "long h//2", "long w//2"],
            "text_rope_pos": "long t",
        },
        *("512", "768", "121", "256"),
    ),
    "Kandinsky6Transformer3DModel": Typical(
        {
            "hidden_states": WITH_FIRST,
            "audio_hidden_states": "b 126 in_audio_dim",
            "encoder_hidden_states": "b t in_text_dim",
            "pooled_projections": "b in_text_dim2",
            "timestep": "b",
        },
        *("512", "768", "121", "256"),
    ),
    "CosmosTransformer3DModel": Typical(
        {
            "hidden_states": LATENT,
            "timestep": "b",
            "encoder_hidden_states": "b t text_embed_dim",
            "fps": "= 30",
            "padding_mask": "1 1 8*h 8*w",
        },
        *("704", "1280", "121", "512"),
        along=8,
    ),
}
