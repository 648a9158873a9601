"""Cosmos Predict and Transfer (arXiv 2501.03575, 2503.14492), and Cosmos 3, which also has sound."""

from mmcache.architectures.registry import register
from mmcache.architectures.transformer import transformer
from mmcache.layouts.residuals import Residuals, every

EVERY = every("controlnet_block_every_n")
CONTROL = Residuals("transformer_blocks", EVERY, "block_controlnet_hidden_states", inside=True)

register(
    transformer(
        "Cosmos",
        "CosmosTransformer3DModel",
        streams={"transformer_blocks": ("hidden_states",)},  # a ControlNet's blocks return more
        residuals=(CONTROL,),
    )
)

register(
    transformer(
        "Cosmos 3",
        "Cosmos3OmniTransformer",
        sample="vision_tokens",
        timestep="vision_timesteps",
        streams={"layers": ("und_seq", "gen_seq")},
        data_dependent=True,
    )
)
