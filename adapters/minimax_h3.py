"""MiniMax H3: words, a video and its sound are rows of one packed sequence (MiniMax, 2026)."""

from mmcache.extend import HIDDEN, register, transformer

register(
    transformer(
        "MiniMax H3 transformer",
        "MiniMaxH3Transformer3DModel",
        streams={"transformer_blocks": HIDDEN},
        # Which of the step's noise levels a row has: as many levels as differ, which may be one less.
        per_step=("audio_hidden_states", "timestep_indices"),
        data_dependent=True,  # how many rows there are of each kind is in the indices that it is given
    )
)
