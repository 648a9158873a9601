"""Wan Animate: Wan, with a face's motion added behind every fifth block (arXiv 2509.14055)."""

from mmcache.architectures.registry import register
from mmcache.architectures.transformer import transformer

register(
    transformer(
        "Wan Animate",
        "WanAnimateTransformer3DModel",
        beside={"face_adapter": "inject_face_latents_blocks"},
    )
)
