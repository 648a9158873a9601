"""Transformers that make pictures and that one rule describes: `mmcache.transformer`."""

from mmcache.registry import register
from mmcache.transformer import transformer

register(
    transformer(
        "image transformer",
        *("DiTTransformer2DModel", "PixArtTransformer2DModel", "PriorTransformer"),
        *("SD3Transformer2DModel", "FluxTransformer2DModel", "ChromaTransformer2DModel"),
        *("AuraFlowTransformer2DModel", "SanaTransformer2DModel", "HunyuanDiT2DModel"),
        *("HunyuanImageTransformer2DModel", "LuminaNextDiT2DModel", "Lumina2Transformer2DModel"),
        *("CogView3PlusTransformer2DModel", "CogView4Transformer2DModel", "GlmImageTransformer2DModel"),
        *("QwenImageTransformer2DModel", "QwenImage21Transformer2DModel", "BriaTransformer2DModel"),
        *("BriaFiboTransformer2DModel", "OvisImageTransformer2DModel", "LongCatImageTransformer2DModel"),
        *("PRXTransformer2DModel", "ErnieImageTransformer2DModel", "Krea2Transformer2DModel"),
        *("Ideogram4Transformer2DModel", "NucleusMoEImageTransformer2DModel", "OmniGenTransformer2DModel"),
        *("JoyImageEditTransformer3DModel", "JoyImageEditPlusTransformer3DModel"),
    )
)
