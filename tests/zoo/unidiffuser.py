"""UniDiffuser: pictures and texts, of each other or together."""

from collections.abc import Callable
from typing import Any

import torch
from diffusers import (
    DPMSolverMultistepScheduler,
    UniDiffuserModel,
    UniDiffuserPipeline,
    UniDiffuserTextDecoder,
)

from tests.zoo import parts
from tests.zoo.case import STEPS, Case

REDUCED = 8  # channels of a text embedding that the decoder has made smaller


def unet() -> UniDiffuserModel:
    """Two long skip connections, two branches."""
    return parts.seeded(
        0,
        lambda: UniDiffuserModel(
            text_dim=REDUCED,
            clip_img_dim=parts.EMBEDDING,
            num_text_tokens=parts.TOKENS,
            num_attention_heads=2,
            attention_head_dim=8,
            in_channels=4,
            out_channels=4,
            num_layers=5,
            sample_size=parts.LATENT,
            patch_size=2,
            activation_fn="gelu",
            norm_type="layer_norm",
            block_type="unidiffuser",
            use_timestep_embedding=True,
            use_data_type_embedding=True,
        ),
    )


def text_decoder() -> UniDiffuserTextDecoder:
    return parts.seeded(
        4,
        lambda: UniDiffuserTextDecoder(
            prefix_length=parts.TOKENS,
            prefix_inner_dim=parts.EMBEDDING,
            prefix_hidden_dim=REDUCED,
            vocab_size=len(parts.tokenizer()),
            n_positions=128,
            n_embd=8,
            n_layer=1,
            n_head=2,
        ),
    )


def make() -> UniDiffuserPipeline:
    return parts.quiet(
        UniDiffuserPipeline(
            vae=parts.vae(),
            text_encoder=parts.text_encoder(),
            image_encoder=parts.image_encoder_with_projection(),
            clip_image_processor=parts.feature_extractor(),
            clip_tokenizer=parts.tokenizer(),
            text_decoder=text_decoder(),
            text_tokenizer=parts.tokenizer(),
            unet=unet(),
            scheduler=DPMSolverMultistepScheduler(
                beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", solver_order=3
            ),
        )
    )


def call(pipe: UniDiffuserPipeline, guided: bool, **inputs: Any) -> Any:
    return pipe(
        num_inference_steps=STEPS,
        guidance_scale=6.0 if guided else 1.0,
        generator=parts.generator(),
        **inputs,
    )


def sample_picture(pipe: UniDiffuserPipeline, guided: bool) -> Any:
    """A picture of a text."""
    pipe.set_text_to_image_mode()
    return call(pipe, guided, prompt=parts.PROMPT, output_type="np").images


def sample_both(pipe: UniDiffuserPipeline, guided: bool) -> Any:
    """A picture and a text together: the picture."""
    pipe.set_joint_mode()
    return call(pipe, guided, output_type="np").images


def sample_text(pipe: UniDiffuserPipeline, guided: bool) -> torch.Tensor:
    """A text of a picture: the embeddings that it is read from."""
    pipe.set_image_to_text_mode()
    latents: list[torch.Tensor] = []

    def keep(step: int, timestep: Any, latent: torch.Tensor) -> None:
        latents.append(latent)

    call(pipe, guided, image=parts.pil_picture(), callback=keep)
    return latents[-1]


SAMPLES: dict[str, Callable[[Any, bool], Any]] = {
    "UniDiffuserPipeline": sample_picture,
    "UniDiffuserPipeline (picture to text)": sample_text,
    "UniDiffuserPipeline (picture and text)": sample_both,
}

CASES = [Case(name, "image", make, sample) for name, sample in SAMPLES.items()]
