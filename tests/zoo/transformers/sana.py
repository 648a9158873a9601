"""Sana: blocks with linear attention and convolutions."""

from typing import Any

import torch
from diffusers import (
    AutoencoderDC,
    DPMSolverMultistepScheduler,
    SanaControlNetModel,
    SanaTransformer2DModel,
    SCMScheduler,
)

from tests.zoo import parts
from tests.zoo.parts import EMBEDDING, LATENT
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import STRENGTH, case, positive, prompts, run

SHAPE = {
    "in_channels": 4,
    "out_channels": 4,
    "num_layers": 6,
    "num_attention_heads": 2,
    "attention_head_dim": 8,
    "num_cross_attention_heads": 2,
    "cross_attention_head_dim": 8,
    "cross_attention_dim": 16,
    "caption_channels": EMBEDDING,
    "sample_size": LATENT,
}
OF_SPRINT = {"guidance_embeds": True, "qk_norm": "rms_norm_across_heads", "timestep_scale": 1000.0}
LAYERS_OF_CONTROLNET = 2
PICTURE = 4 * LATENT  # sides must be multiples of 32
SIZE = {"height": PICTURE, "width": PICTURE, "use_resolution_binning": False}


def transformer(**changes: Any) -> SanaTransformer2DModel:
    return lively(0, lambda: SanaTransformer2DModel(**SHAPE | changes))


def controlnet() -> SanaControlNetModel:
    return lively(2, lambda: SanaControlNetModel(**SHAPE | {"num_layers": LAYERS_OF_CONTROLNET}))


def vae() -> AutoencoderDC:
    """Pictures (3, 4h, 4w) to latents (4, h, w)."""
    shape = {
        "latent_channels": 4,
        "attention_head_dim": 2,
        "encoder_block_types": ("ResBlock", "ResBlock", "EfficientViTBlock"),
        "decoder_block_types": ("ResBlock", "ResBlock", "EfficientViTBlock"),
        "encoder_block_out_channels": (8, 8, 8),
        "decoder_block_out_channels": (8, 8, 8),
        "encoder_layers_per_block": (1, 1, 1),
        "decoder_layers_per_block": (1, 1, 1),
        "encoder_qkv_multiscales": ((), (), (5,)),
        "decoder_qkv_multiscales": ((), (), (5,)),
    }
    return parts.seeded(1, lambda: AutoencoderDC(**shape))


def solver() -> DPMSolverMultistepScheduler:
    return DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )


def build(cls: Any, shape: dict[str, Any] | None = None, **more: Any) -> Any:
    of_all = {
        "tokenizer": None,
        "text_encoder": None,
        "vae": vae(),
        "transformer": transformer(**shape or {}),
        "scheduler": solver(),
    }
    return parts.quiet(cls(**of_all | more))


def build_sprint(cls: Any) -> Any:
    return build(cls, OF_SPRINT, scheduler=SCMScheduler(prediction_type="trigflow", sigma_data=0.5))


def sample(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    words = prompts(mask="attention_mask") | {"negative_prompt": None}
    return run(pipe, guided, **SIZE | words | changes)


def sample_sprint(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    """Guidance is a number that the transformer is told."""
    words = positive(prompts(mask="attention_mask"))
    return run(pipe, guided, **SIZE | {"intermediate_timesteps": None} | words | changes)


def on_picture() -> dict[str, Any]:
    return {"image": parts.picture(PICTURE), "strength": STRENGTH}


CASES = [
    case("SanaPipeline", "image", build, sample),
    case(
        "SanaPAGPipeline", "image", lambda cls: build(cls, pag_applied_layers="transformer_blocks.2"), sample
    ),
    case(
        "SanaControlNetPipeline",
        "controlnet",
        lambda cls: build(cls, controlnet=controlnet()),
        sample,
        lambda: {"control_image": parts.picture(PICTURE)},
    ),
    case("SanaSprintPipeline", "image", build_sprint, sample_sprint),
    case(
        "SanaSprintImg2ImgPipeline",
        "image",
        build_sprint,
        sample_sprint,
        lambda: {"image": parts.picture(PICTURE), "strength": STRENGTH},
    ),
]
