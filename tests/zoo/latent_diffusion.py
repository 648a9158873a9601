"""LDM with text: the latent diffusion model that Stable Diffusion comes from."""

from typing import Any

from diffusers import LDMTextToImagePipeline

from tests.zoo.case import STEPS, Case
from tests.zoo.parts import LATENT, PROMPT, ddim, generator, quiet, text_encoder, tokenizer, unet, vae

LDM_TOKENS = 77  # the pipeline's own number
DOWNSAMPLING = 8  # likewise, whatever the VAE


def build() -> Any:
    encoder = text_encoder(max_position_embeddings=LDM_TOKENS)
    parts = {"vqvae": vae(), "bert": encoder, "tokenizer": tokenizer(), "unet": unet(), "scheduler": ddim()}
    return quiet(LDMTextToImagePipeline(**parts))


def run(pipe: Any, guided: bool) -> Any:
    """The picture (1, 16, 16, 3)."""
    return pipe(
        PROMPT,
        height=LATENT * DOWNSAMPLING,
        width=LATENT * DOWNSAMPLING,
        num_inference_steps=STEPS,
        guidance_scale=5.0 if guided else 1.0,
        generator=generator(),
        output_type="np",
    ).images


CASES = [Case("LDMTextToImagePipeline", "image", build, run)]
