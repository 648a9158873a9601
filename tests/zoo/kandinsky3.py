"""Kandinsky 3."""

from typing import Any

import torch
from diffusers import DDPMScheduler, Kandinsky3Img2ImgPipeline, Kandinsky3Pipeline, Kandinsky3UNet, VQModel

from tests.zoo import parts
from tests.zoo.case import STEPS, Case
from tests.zoo.random_weights import lively


def unet() -> Kandinsky3UNet:
    """Three levels, two branches."""
    return lively(
        0,
        lambda: Kandinsky3UNet(
            time_embedding_dim=8,
            groups=2,
            attention_head_dim=4,
            layers_per_block=2,
            block_out_channels=(8, 8, 16),
            cross_attention_dim=8,
            encoder_hid_dim=parts.EMBEDDING,
        ),
    )


def movq() -> VQModel:
    """Pictures (3, 2h, 2w) to latents (4, h, w)."""
    return parts.seeded(
        1,
        lambda: VQModel(
            block_out_channels=(4, 4),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            latent_channels=4,
            norm_num_groups=2,
            num_vq_embeddings=12,
            vq_embed_dim=4,
        ),
    )


def make(cls: Any) -> Any:
    scheduler = DDPMScheduler(beta_schedule="squaredcos_cap_v2", clip_sample=True)
    return parts.quiet(cls(tokenizer=None, text_encoder=None, unet=unet(), scheduler=scheduler, movq=movq()))


def sample(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    """Latents (1, 4, 8, 8)."""
    everything = torch.ones(1, 5, dtype=torch.long)
    call = {
        **parts.embeddings(),
        "attention_mask": everything,
        "negative_attention_mask": everything,
        "guidance_scale": 3.0 if guided else 1.0,
        "generator": parts.generator(),
        "output_type": "latent",
    }
    return pipe(**call | changes).images


def sample_text(pipe: Kandinsky3Pipeline, guided: bool) -> torch.Tensor:
    return sample(pipe, guided, height=64, width=64, num_inference_steps=STEPS)


def sample_image(pipe: Kandinsky3Img2ImgPipeline, guided: bool) -> torch.Tensor:
    picture = parts.pil_picture(16)
    return sample(pipe, guided, image=picture, strength=0.5, num_inference_steps=2 * STEPS)


CASES = [
    Case("Kandinsky3Pipeline", "image", lambda: make(Kandinsky3Pipeline), sample_text),
    Case("Kandinsky3Img2ImgPipeline", "image", lambda: make(Kandinsky3Img2ImgPipeline), sample_image),
]
