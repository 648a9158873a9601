"""Transformers that make sound and that one rule describes: `mmcache.architectures.transformer`."""

from mmcache.architectures.registry import register
from mmcache.architectures.transformer import transformer

register(
    transformer(
        "audio transformer",
        *("StableAudioDiTModel", "StableAudio3DiTModel", "AceStepTransformer1DModel"),
        *("LongCatAudioDiTTransformer", "MiniMaxMusic3Transformer1DModel"),
    )
)
