"""aMUSEd: image tokens, unmasked in a few steps."""

from typing import Any

from diffusers import (
    AmusedImg2ImgPipeline,
    AmusedInpaintPipeline,
    AmusedPipeline,
    AmusedScheduler,
    UVit2DModel,
    VQModel,
)

from tests.zoo import parts
from tests.zoo.case import STEPS, Case
from tests.zoo.random_weights import lively

TOKENS = 32  # in the codebook
SIZE = 16  # of the picture: 8x8 tokens


def transformer() -> UVit2DModel:
    """Five transformer layers between convolutional blocks, three branches."""
    return lively(
        0,
        lambda: UVit2DModel(
            hidden_size=8,
            cond_embed_dim=parts.POOLED,
            micro_cond_encode_dim=2,
            micro_cond_embed_dim=10,
            encoder_hidden_size=parts.EMBEDDING,
            vocab_size=TOKENS,
            codebook_size=TOKENS,
            in_channels=8,
            block_out_channels=8,
            num_res_blocks=1,
            downsample=True,
            upsample=True,
            block_num_heads=2,
            num_hidden_layers=5,
            num_attention_heads=2,
            intermediate_size=8,
            sample_size=SIZE // 2,
        ),
    )


def vqvae() -> VQModel:
    """Pictures (3, 2h, 2w) to tokens (h, w)."""
    return parts.seeded(
        1,
        lambda: VQModel(
            block_out_channels=(8, 8),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            latent_channels=8,
            norm_num_groups=8,
            num_vq_embeddings=TOKENS,
            mid_block_add_attention=False,
            lookup_from_codebook=True,
        ),
    )


def make(cls: Any) -> Any:
    return parts.quiet(
        cls(
            vqvae=vqvae(),
            tokenizer=parts.tokenizer(),
            text_encoder=parts.text_encoder_with_projection(),
            transformer=transformer(),
            scheduler=AmusedScheduler(mask_token_id=TOKENS - 1),
        )
    )


def sample(pipe: Any, guided: bool, **changes: Any) -> Any:
    """Tokens (1, 8, 8) of the last step."""
    call = {
        "prompt": parts.PROMPT,
        "num_inference_steps": STEPS,
        "guidance_scale": 10.0 if guided else 1.0,
        "generator": parts.generator(),
        "output_type": "latent",
    }
    return pipe(**call | changes).images


def sample_text(pipe: AmusedPipeline, guided: bool) -> Any:
    return sample(pipe, guided, height=SIZE, width=SIZE)


def sample_image(pipe: AmusedImg2ImgPipeline, guided: bool) -> Any:
    return sample(pipe, guided, image=parts.picture(SIZE), strength=0.5, num_inference_steps=2 * STEPS)


def sample_inpainting(pipe: AmusedInpaintPipeline, guided: bool) -> Any:
    return sample(pipe, guided, image=parts.picture(SIZE), mask_image=parts.mask(SIZE), strength=1.0)


CASES = [
    Case("AmusedPipeline", "image", lambda: make(AmusedPipeline), sample_text),
    Case("AmusedImg2ImgPipeline", "image", lambda: make(AmusedImg2ImgPipeline), sample_image),
    Case("AmusedInpaintPipeline", "inpainting", lambda: make(AmusedInpaintPipeline), sample_inpainting),
]
