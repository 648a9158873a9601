"""Transformers that make video, with or without sound, and that one rule describes: `mmcache.transformer`."""

from mmcache.registry import register
from mmcache.transformer import transformer

register(
    transformer(
        "video transformer",
        *("WanTransformer3DModel", "ChronoEditTransformer3DModel", "SkyReelsV2Transformer3DModel"),
        *("WanVACETransformer3DModel", "HeliosTransformer3DModel", "CogVideoXTransformer3DModel"),
        *("HunyuanVideoTransformer3DModel", "HunyuanVideoFramepackTransformer3DModel"),
        *("HunyuanVideo15Transformer3DModel", "LTXVideoTransformer3DModel", "LTX2VideoTransformer3DModel"),
        *("MochiTransformer3DModel", "AllegroTransformer3DModel", "EasyAnimateTransformer3DModel"),
        *("SanaVideoTransformer3DModel", "Kandinsky5Transformer3DModel", "Kandinsky6Transformer3DModel"),
        *("Kandinsky6SRTransformer3DModel", "AnyFlowTransformer3DModel"),
    )
)
