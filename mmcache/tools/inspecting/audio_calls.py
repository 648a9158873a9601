"""Usual calls of transformers that make sound: `frames` are latents."""

from collections.abc import Mapping

from mmcache.tools.inspecting.typical import Typical

TURNED = "f+1 attention_head_dim//2"  # a token of the length stands before the latents


def sound(arguments: Mapping[str, object], frames: str, tokens: str, **only: str) -> Typical:
    return Typical(arguments, "0", "0", frames, tokens, along=1, only=only)


AUDIO_CALLS: Mapping[str, Typical] = {
    "StableAudioDiTModel": sound(
        {
            "hidden_states": "b in_channels f",
            "timestep": "b",
            "encoder_hidden_states": "b t cross_attention_input_dim",
            "global_hidden_states": "b 1 global_states_input_dim",
            "rotary_embedding": (TURNED, TURNED),
        },
        frames="sample_size",
        tokens="128+2",  # two say where the sound begins and ends
    ),
    "StableAudio3DiTModel": sound(
        {
            "hidden_states": "b io_channels f",
            "timestep": "b",
            "encoder_hidden_states": "b t cond_token_dim",
            "global_hidden_states": "b global_cond_dim",
        },
        frames="1024",
        tokens="256",
    ),
    "AceStepTransformer1DModel": sound(
        {
            "hidden_states": "b f audio_acoustic_hidden_dim",
            "timestep": "b",
            "timestep_r": "b",
            "encoder_hidden_states": "b t encoder_hidden_size|hidden_size",
            "context_latents": "b f in_channels-audio_acoustic_hidden_dim",
        },
        frames="60*25",  # a minute
        tokens="512",
    ),
    "LongCatAudioDiTTransformer": sound(
        {
            "hidden_states": "b f latent_dim",
            "encoder_hidden_states": "b t dit_text_dim",
            "encoder_attention_mask": "bool b t",
            "timestep": "b",
            "attention_mask": "bool b f",
            "latent_cond": "b f latent_dim",
        },
        frames="512",
        tokens="128",
        latent_cond="use_latent_condition",
    ),
    "MiniMaxMusic3Transformer1DModel": sound(
        {
            "hidden_states": "b in_channels f",
            "timestep": "b",
            "encoder_hidden_states": "b f condition_dim",
        },
        frames="1024",
        tokens="0",
    ),
}
