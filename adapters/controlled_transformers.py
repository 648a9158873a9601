"""Transformers that have ControlNets, or a ControlNet within: which of their blocks gets which residual."""

from mmcache.architectures.registry import register
from mmcache.architectures.transformer import IMAGE_TRANSFORMER, transformer
from mmcache.layouts import residuals as rules
from mmcache.layouts.residuals import Residuals

BY = "controlnet_block_samples"
REPEATED = "controlnet_blocks_repeat"
PAIRS = Residuals("transformer_blocks", rules.spread, BY, repeated=REPEATED)
SINGLES = Residuals("single_transformer_blocks", rules.spread, "controlnet_single_block_samples")
EVEN = Residuals("transformer_blocks", rules.spread_evenly, "block_controlnet_hidden_states")
OF_PICTURES = {
    "FluxTransformer2DModel": (PAIRS, SINGLES),
    "ChromaTransformer2DModel": (PAIRS, SINGLES),
    "BriaTransformer2DModel": (PAIRS, SINGLES),
    "SD3Transformer2DModel": (EVEN,),
    "QwenImageTransformer2DModel": (Residuals("transformer_blocks", rules.spread, BY),),
    "SanaTransformer2DModel": (Residuals("transformer_blocks", rules.from_the_second, BY),),
    "HunyuanDiT2DModel": (Residuals("blocks", rules.mirrored, BY, inside=True),),
}
OF_VIDEO = {
    "SanaVideoTransformer3DModel": (Residuals("transformer_blocks", rules.from_the_second, BY),),
    "WanVACETransformer3DModel": (Residuals("blocks", rules.listed("vace_layers"), made_by="vace_blocks"),),
}

for family, classes in ((IMAGE_TRANSFORMER, OF_PICTURES), ("", OF_VIDEO)):
    for name, residuals in classes.items():
        kind = name.removesuffix("Model").removesuffix("2D").removesuffix("3D").replace("Transformer", "")
        register(transformer(f"{kind} transformer", name, residuals=residuals, family=family))
