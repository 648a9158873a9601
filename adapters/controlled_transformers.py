"""Transformers that have ControlNets, or a ControlNet within: which of their blocks gets which residual."""

from mmcache.cuts import residuals as rules
from mmcache.cuts.residuals import Residuals
from mmcache.registry import register
from mmcache.transformer import transformer

BY = "controlnet_block_samples"
REPEATED = "controlnet_blocks_repeat"
PAIRS = Residuals("transformer_blocks", rules.spread, BY, repeated=REPEATED)
SINGLES = Residuals("single_transformer_blocks", rules.spread, "controlnet_single_block_samples")
RESIDUALS = {
    "FluxTransformer2DModel": (PAIRS, SINGLES),
    "ChromaTransformer2DModel": (PAIRS, SINGLES),
    "BriaTransformer2DModel": (PAIRS, SINGLES),
    "SD3Transformer2DModel": (
        Residuals("transformer_blocks", rules.spread_evenly, "block_controlnet_hidden_states"),
    ),
    "QwenImageTransformer2DModel": (Residuals("transformer_blocks", rules.spread, BY),),
    "SanaTransformer2DModel": (Residuals("transformer_blocks", rules.from_the_second, BY),),
    "SanaVideoTransformer3DModel": (Residuals("transformer_blocks", rules.from_the_second, BY),),
    "HunyuanDiT2DModel": (Residuals("blocks", rules.mirrored, BY, inside=True),),
    "WanVACETransformer3DModel": (Residuals("blocks", rules.listed("vace_layers"), made_by="vace_blocks"),),
}

for name, residuals in RESIDUALS.items():
    kind = name.removesuffix("Model").removesuffix("2D").removesuffix("3D").replace("Transformer", "")
    register(transformer(f"{kind} transformer", name, residuals=residuals))
