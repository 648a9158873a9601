"""DreamLite: a small U-Net for phones; the picture to be edited stands beside the latent."""

from typing import Any

import torch
from diffusers import (
    AutoencoderTiny,
    DreamLiteMobilePipeline,
    DreamLitePipeline,
    DreamLiteUNetModel,
    FlowMatchEulerDiscreteScheduler,
)

from tests.zoo import parts
from tests.zoo.case import STEPS, Case

PICTURE = 16


class Reader:
    """Stands in for the processor of words and pictures together: it reads the words."""

    def __init__(self) -> None:
        self.tokenizer = parts.tokenizer()

    def __call__(self, text: list[str], images: Any, **options: Any) -> Any:
        return self.tokenizer(text=text, **options)


def unet() -> DreamLiteUNetModel:
    """Two levels, four branches."""
    return parts.seeded(
        0,
        lambda: DreamLiteUNetModel(
            sample_size=parts.LATENT,
            down_block_types=(
                "DreamLiteCrossAttnNoSelfAttnDownBlock2D",
                "DreamLiteCrossAttnDownBlock2D",
            ),
            mid_block_type="DreamLiteUNetMidBlock2DCrossAttn",
            up_block_types=("DreamLiteCrossAttnUpBlock2D", "DreamLiteUpBlock2D"),
            block_out_channels=(8, 16),
            cross_attention_dim=parts.EMBEDDING,
            attention_head_dim=2,
            layers_per_block=1,
            norm_num_groups=4,
            transformer_layers_per_block=1,
            num_kv_heads=1,
            qk_norm="rms_norm",
            use_sep_conv=True,
            addition_embed_type="time",
            addition_time_embed_dim=4,
            projection_class_embeddings_input_dim=8,
        ),
    )


def vae() -> AutoencoderTiny:
    """Pictures (3, 2h, 2w) to latents (4, h, w)."""
    return parts.seeded(
        1,
        lambda: AutoencoderTiny(
            encoder_block_out_channels=(4, 4),
            decoder_block_out_channels=(4, 4),
            num_encoder_blocks=(1, 1),
            num_decoder_blocks=(1, 1),
        ),
    )


def make(cls: Any) -> Any:
    return parts.quiet(
        cls(
            text_encoder=parts.text_encoder(max_position_embeddings=512),
            tokenizer=parts.tokenizer(),
            processor=Reader(),
            vae=vae(),
            unet=unet(),
            scheduler=FlowMatchEulerDiscreteScheduler(),
        )
    )


def sample(pipe: Any, **changes: Any) -> torch.Tensor:
    """Latents (1, 4, 8, 8)."""
    call = {
        "prompt": parts.PROMPT,
        "height": PICTURE,
        "width": PICTURE,
        "num_inference_steps": STEPS,
        "generator": parts.generator(),
        "output_type": "latent",
    }
    return pipe(**call | changes).images


def sample_text(pipe: DreamLitePipeline, guided: bool) -> torch.Tensor:
    return sample(pipe, guidance_scale=3.5 if guided else 1.0)


def sample_edit(pipe: DreamLitePipeline, guided: bool) -> torch.Tensor:
    """Three denoisers in one batch: without words and picture, without words, with both."""
    scales = (3.5, 1.5) if guided else (1.0, 1.0)
    picture = parts.pil_picture(PICTURE)
    return sample(pipe, image=picture, guidance_scale=scales[0], image_guidance_scale=scales[1])


def sample_mobile(pipe: DreamLiteMobilePipeline, guided: bool) -> torch.Tensor:
    return sample(pipe)


CASES = [
    Case("DreamLitePipeline", "image", lambda: make(DreamLitePipeline), sample_text),
    Case("DreamLitePipeline (edit)", "image", lambda: make(DreamLitePipeline), sample_edit),
    Case(
        "DreamLiteMobilePipeline",
        "image",
        lambda: make(DreamLiteMobilePipeline),
        sample_mobile,
        guidance=False,
    ),
]
