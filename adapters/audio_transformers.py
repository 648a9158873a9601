"""Transformers that make sound; the frames of their example calls are latents."""

from functools import partial

from mmcache.extend import HIDDEN, If, register, transformer, transformer_call

sound = partial(transformer_call, pixels="", along=1)
TURNED = "f+1 attention_head_dim//2"  # a token of the length stands before the latents

register(
    transformer(
        "Stable Audio transformer",
        "StableAudioDiTModel",
        streams={"transformer_blocks": HIDDEN},
        example_call=sound(
            "b in_channels f",
            "cross_attention_input_dim",
            more={"global_hidden_states": "b 1 global_states_input_dim", "rotary_embedding": (TURNED,) * 2},
            frames="sample_size",
            tokens="128+2",  # two say where the sound begins and ends
        ),
    )
)
register(
    transformer(
        "Stable Audio 3 transformer",
        "StableAudio3DiTModel",
        streams={"transformer_blocks": HIDDEN},
        example_call=sound(
            "b io_channels f",
            "cond_token_dim",
            more={"global_hidden_states": "b global_cond_dim"},
            frames="1024",
            tokens="256",
        ),
    )
)
register(
    transformer(
        "ACE-Step transformer",
        "AceStepTransformer1DModel",
        streams={"layers": HIDDEN},
        example_call=sound(
            "b f audio_acoustic_hidden_dim",
            "encoder_hidden_size|hidden_size",
            more={"timestep_r": "b", "context_latents": "b f in_channels-audio_acoustic_hidden_dim"},
            frames="60*25",  # a minute
            tokens="512",
        ),
    )
)
register(
    transformer(
        "LongCat Audio transformer",
        "LongCatAudioDiTTransformer",
        streams={"blocks": HIDDEN},
        example_call=sound(
            "b f latent_dim",
            "dit_text_dim",
            "bool",
            more={"attention_mask": "bool b f", "latent_cond": If("use_latent_condition", "b f latent_dim")},
            frames="512",
            tokens="128",
        ),
    )
)
register(
    transformer(
        "MiniMax Music 3 transformer",
        "MiniMaxMusic3Transformer1DModel",
        streams={"transformer_blocks": HIDDEN},
        example_call=sound(
            "b in_channels f",
            more={"encoder_hidden_states": "b f condition_dim"},
            frames="1024",
        ),
    )
)
