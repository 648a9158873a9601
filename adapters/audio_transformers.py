"""Transformers that make sound and that one rule describes: `mmcache.transformer`."""

from mmcache.registry import register
from mmcache.transformer import transformer

register(
    transformer(
        "audio transformer",
        *("StableAudioDiTModel", "StableAudio3DiTModel", "AceStepTransformer1DModel"),
        *("LongCatAudioDiTTransformer", "MiniMaxMusic3Transformer1DModel"),
    )
)
