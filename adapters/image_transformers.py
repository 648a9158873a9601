"""Transformers that make pictures and that one rule describes: `mmcache.architectures.transformer`."""

from mmcache.architectures.registry import register
from mmcache.architectures.transformer import IMAGE_TRANSFORMER, transformer

PLAIN = (
    *("DiTTransformer2DModel", "PixArtTransformer2DModel", "LuminaNextDiT2DModel"),
    *("Transformer2DModel",),  # VQ-Diffusion
    *("CogView3PlusTransformer2DModel", "CogView4Transformer2DModel", "AuraFlowTransformer2DModel"),
    *("BriaFiboTransformer2DModel", "OvisImageTransformer2DModel", "LongCatImageTransformer2DModel"),
    *("PRXTransformer2DModel", "Krea2Transformer2DModel", "JoyImageEditTransformer3DModel"),
    *("JoyImageEditPlusTransformer3DModel",),
)
LOOKING = (
    *("HunyuanImageTransformer2DModel", "Lumina2Transformer2DModel", "GlmImageTransformer2DModel"),
    *("QwenImage21Transformer2DModel", "ErnieImageTransformer2DModel", "BriaFibo2Transformer2DModel"),
    *("Ideogram4Transformer2DModel", "NucleusMoEImageTransformer2DModel", "OmniGenTransformer2DModel"),
)

MEASURED = {"family": IMAGE_TRANSFORMER}

register(transformer("image transformer", *PLAIN, **MEASURED))
register(transformer("image transformer that looks at its text", *LOOKING, data_dependent=True, **MEASURED))
register(transformer("prior transformer", "PriorTransformer"))  # of a picture's embedding
