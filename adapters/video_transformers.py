"""Transformers that make video, with or without sound, and that one rule describes."""

from mmcache.architectures.registry import register
from mmcache.architectures.transformer import transformer

PLAIN = (
    *("WanTransformer3DModel", "ChronoEditTransformer3DModel", "SkyReelsV2Transformer3DModel"),
    *("CogVideoXTransformer3DModel", "HunyuanVideoTransformer3DModel"),
    *("LTXVideoTransformer3DModel", "LTX2VideoTransformer3DModel", "AnyFlowTransformer3DModel"),
    *("AllegroTransformer3DModel", "EasyAnimateTransformer3DModel"),
    *("Kandinsky5Transformer3DModel", "Kandinsky6Transformer3DModel", "Kandinsky6SRTransformer3DModel"),
)
LOOKING = (
    *("HunyuanVideo15Transformer3DModel", "HunyuanVideoFramepackTransformer3DModel"),
    *("HeliosTransformer3DModel", "MochiTransformer3DModel", "SanaWMTransformer3DModel"),
)

register(transformer("video transformer", *PLAIN))
register(transformer("video transformer that looks at its text", *LOOKING, data_dependent=True))
