"""VQ-Diffusion: a picture's tokens, from all of them masked."""

from typing import Any

from diffusers import Transformer2DModel, VQDiffusionScheduler, VQModel
from diffusers.pipelines.deprecated.vq_diffusion.pipeline_vq_diffusion import (
    LearnedClassifierFreeSamplingEmbeddings,
)

from tests.zoo import parts
from tests.zoo.case import STEPS
from tests.zoo.parts import EMBEDDING, LATENT
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import case

CODES = 12  # in the codebook, and one for a masked pixel
SHAPE = {
    "num_attention_heads": 2,
    "attention_head_dim": 8,
    "num_layers": 6,
    "cross_attention_dim": EMBEDDING,
    "attention_bias": True,
    "sample_size": LATENT,
    "num_vector_embeds": CODES + 1,
    "activation_fn": "geglu-approximate",
    "num_embeds_ada_norm": 100,
    "norm_num_groups": 4,
}


def vqvae() -> VQModel:
    """Tokens (h, w) to pictures (3, 2h, 2w)."""
    shape = {
        "block_out_channels": (4, 4),
        "norm_num_groups": 2,
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "latent_channels": 3,
        "num_vq_embeddings": CODES,
        "vq_embed_dim": 3,
    }
    return parts.seeded(1, lambda: VQModel(**shape))


def build(cls: Any) -> Any:
    return parts.quiet(
        cls(
            vqvae=vqvae(),
            **parts.prompted(),
            transformer=lively(0, lambda: Transformer2DModel(**SHAPE)),
            scheduler=VQDiffusionScheduler(num_vec_classes=CODES + 1),
            learned_classifier_free_sampling_embeddings=lively(
                3, lambda: LearnedClassifierFreeSamplingEmbeddings(True, EMBEDDING, parts.TOKENS)
            ),
        )
    )


def sample(pipe: Any, guided: bool) -> Any:
    """The picture (1, 16, 16, 3)."""
    return pipe(
        parts.PROMPT,
        num_inference_steps=STEPS,
        guidance_scale=5.0 if guided else 1.0,
        generator=parts.generator(),
        output_type="np",
    ).images


CASES = [case("VQDiffusionPipeline", "image", build, sample)]
