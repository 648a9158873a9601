"""LEDITS++: a picture is inverted, then sampled again with edits."""

from typing import Any

from diffusers import (
    DPMSolverMultistepScheduler,
    LEditsPPPipelineStableDiffusion,
    LEditsPPPipelineStableDiffusionXL,
)

from tests.zoo import parts
from tests.zoo.case import STEPS, Case

PICTURE = 32  # what it takes at least
EDITS = ["a bird", "a fish"]
THREE_LEVELS = {  # the mask is read from cross-attention at a quarter of the latent's size
    "sample_size": PICTURE // 4,
    "block_out_channels": (8, 8, 16),
    "down_block_types": ("CrossAttnDownBlock2D",) * 3,
    "up_block_types": ("CrossAttnUpBlock2D",) * 3,
}


def scheduler() -> DPMSolverMultistepScheduler:
    return DPMSolverMultistepScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        algorithm_type="sde-dpmsolver++",
        solver_order=2,
        steps_offset=1,
    )


def vae() -> Any:
    """Pictures of 32x32 to latents of 8x8."""
    return parts.vae(
        block_out_channels=(4,) * 3,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
    )


def stable_diffusion() -> Any:
    return parts.stable_diffusion(
        LEditsPPPipelineStableDiffusion,
        vae=vae(),
        unet=parts.unet(**THREE_LEVELS),
        scheduler=scheduler(),
        **parts.prompted(),
    )


def stable_diffusion_xl() -> Any:
    """The embeddings of both text encoders are side by side."""
    words = parts.tokenizer()
    return parts.stable_diffusion_xl(
        LEditsPPPipelineStableDiffusionXL,
        vae=vae(),
        text_encoder=parts.text_encoder(),
        text_encoder_2=parts.text_encoder_with_projection(),
        tokenizer=words,
        tokenizer_2=words,
        unet=parts.unet_xl(
            **THREE_LEVELS, transformer_layers_per_block=(1, 1, 1), cross_attention_dim=2 * parts.EMBEDDING
        ),
        scheduler=scheduler(),
    )


def sample(pipe: Any, guided: bool, **changes: Any) -> Any:
    """Both an inversion and the sampling, guided by two edits or by nothing."""
    source = {"source_prompt": "a cat", "source_guidance_scale": 3.5} if guided else {}
    edits = {"editing_prompt": EDITS, "edit_guidance_scale": 4.0, "edit_threshold": 0.7} if guided else {}
    pipe.invert(
        image=parts.pil_picture(PICTURE),
        num_inversion_steps=STEPS,
        skip=0.2,
        generator=parts.generator(),
        **source,
    )
    return pipe(output_type="latent", **edits | changes).images


CASES = [
    Case("LEditsPPPipelineStableDiffusion", "image", stable_diffusion, sample),
    Case(
        "LEditsPPPipelineStableDiffusion (no mask of attention)",
        "image",
        stable_diffusion,
        lambda pipe, guided: sample(pipe, guided, use_intersect_mask=False),
    ),
    Case("LEditsPPPipelineStableDiffusionXL", "image", stable_diffusion_xl, sample),
    Case(
        "LEditsPPPipelineStableDiffusionXL (mask of attention)",
        "image",
        stable_diffusion_xl,
        lambda pipe, guided: sample(pipe, guided, use_cross_attn_mask=True, use_intersect_mask=True),
    ),
]
