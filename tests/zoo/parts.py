"""Tiny random parts that the pipelines of the zoo are built from; the same weights every time."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    ControlNetUnionModel,
    DDIMScheduler,
    EulerDiscreteScheduler,
    UNet2DConditionModel,
)
from PIL import Image
from torch import nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionConfig,
    CLIPVisionModel,
    CLIPVisionModelWithProjection,
)

from tests import tiny, tiny_prompted
from tests.zoo.case import STEPS
from tests.zoo.processors import by_pillow

LATENT = 8  # height and width of the latent
PICTURE = 16  # of the picture: the VAE has one downsampler
EMBEDDING = 16  # channels of a text embedding
POOLED = 8  # channels of a pooled (projected) text or image embedding
TOKENS = tiny_prompted.TOKENS
PROMPT = "a cat a dog"  # ten of the tokens


def seeded(seed: int, build: Callable[[], Any]) -> Any:
    """What `build()` makes with the random weights of this seed; a model in eval mode."""
    torch.manual_seed(seed)
    made = build()
    return made.eval() if isinstance(made, nn.Module) else made


def quiet(pipe: Any) -> Any:
    pipe.set_progress_bar_config(disable=True)
    return pipe


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# Denoisers: two levels, four skip connections

TWO_LEVELS = {
    "sample_size": LATENT,
    "block_out_channels": (8, 16),
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "cross_attention_dim": EMBEDDING,
    "attention_head_dim": 4,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}

TWO_LEVELS_XL = TWO_LEVELS | {
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2),
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 4,
    "projection_class_embeddings_input_dim": 6 * 4 + POOLED,
    "use_linear_projection": True,
}


def unet(**changes: Any) -> UNet2DConditionModel:
    """Stable Diffusion's, with four branches."""
    return seeded(0, lambda: UNet2DConditionModel(**TWO_LEVELS | changes))


def unet_xl(**changes: Any) -> UNet2DConditionModel:
    """SDXL's, with four branches; the size conditions are six numbers."""
    return seeded(0, lambda: UNet2DConditionModel(**TWO_LEVELS_XL | changes))


CONTROL_CHANNELS = (4, 8)  # of the layers that bring a picture of 16x16 to the latent's 8x8


def trained(model: Any) -> Any:
    """With random weights where a ControlNet begins with zeros, so that its residuals matter."""
    for weight in model.parameters():
        if weight.dim() > 1 and not weight.any():
            nn.init.normal_(weight, std=0.3)
    return model


def controlnet_of(denoiser: UNet2DConditionModel, seed: int, **changes: Any) -> ControlNetModel:
    shape = {"conditioning_embedding_out_channels": CONTROL_CHANNELS}
    return seeded(seed, lambda: trained(ControlNetModel.from_unet(denoiser, **shape | changes)))


def controlnet(seed: int = 2) -> ControlNetModel:
    """For `unet()` and pictures of 16x16."""
    return controlnet_of(unet(), seed)


def controlnet_xl(seed: int = 2) -> ControlNetModel:
    """For `unet_xl()` and pictures of 16x16."""
    return controlnet_of(unet_xl(), seed)


def controlnet_union(seed: int = 2, kinds: int = 6) -> ControlNetUnionModel:
    """For `unet_xl()` and pictures of 16x16, of `kinds` kinds of control."""
    shape = {
        name: value for name, value in TWO_LEVELS_XL.items() if name not in ("sample_size", "up_block_types")
    }
    control = {
        "conditioning_embedding_out_channels": CONTROL_CHANNELS,
        "num_control_type": kinds,
        "num_trans_channel": 8,
        "num_trans_head": 2,
        "num_proj_channel": 8,
    }
    return seeded(seed, lambda: trained(ControlNetUnionModel(**shape | control)))


def vae(channels: int = 4, **changes: Any) -> AutoencoderKL:
    """Pictures (3, 2h, 2w) to latents (channels, h, w)."""
    shape = {
        "block_out_channels": (4, 4),
        "norm_num_groups": 2,
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "latent_channels": channels,
        "sample_size": PICTURE,
    }
    return seeded(1, lambda: AutoencoderKL(**shape | changes))


# Schedulers


def ddim(**changes: Any) -> DDIMScheduler:
    return DDIMScheduler.from_config(tiny.ddim().config, **changes)


def euler(**changes: Any) -> EulerDiscreteScheduler:
    return EulerDiscreteScheduler(
        **{"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"} | changes
    )


# Encoders


def tokenizer() -> CLIPTokenizer:
    """Every byte is a token; texts of `TOKENS` tokens."""
    return tiny_prompted.tokenizer()


def text_config(**changes: Any) -> CLIPTextConfig:
    words = tokenizer()
    shape = {
        "vocab_size": len(words),
        "hidden_size": EMBEDDING,
        "intermediate_size": EMBEDDING,
        "projection_dim": POOLED,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": TOKENS,
        "bos_token_id": words.bos_token_id,
        "eos_token_id": words.eos_token_id,
        "pad_token_id": words.pad_token_id,
    }
    return CLIPTextConfig(**shape | changes)


def text_encoder(**changes: Any) -> CLIPTextModel:
    """Token ids (n, TOKENS) to embeddings (n, TOKENS, EMBEDDING)."""
    return seeded(2, lambda: CLIPTextModel(text_config(**changes)))


def text_encoder_with_projection(**changes: Any) -> CLIPTextModelWithProjection:
    """Token ids (n, TOKENS) to embeddings (n, TOKENS, EMBEDDING) and pooled ones (n, POOLED)."""
    return seeded(2, lambda: CLIPTextModelWithProjection(text_config(**changes)))


def vision_config(**changes: Any) -> CLIPVisionConfig:
    shape = {
        "hidden_size": EMBEDDING,
        "intermediate_size": EMBEDDING,
        "projection_dim": EMBEDDING,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": PICTURE,
        "patch_size": PICTURE // 2,
    }
    return CLIPVisionConfig(**shape | changes)


def image_encoder(**changes: Any) -> CLIPVisionModel:
    """Pictures (n, 3, PICTURE, PICTURE) to embeddings (n, 5, EMBEDDING)."""
    return seeded(3, lambda: CLIPVisionModel(vision_config(**changes)))


def image_encoder_with_projection(**changes: Any) -> CLIPVisionModelWithProjection:
    """Pictures (n, 3, PICTURE, PICTURE) to embeddings (n, EMBEDDING)."""
    return seeded(3, lambda: CLIPVisionModelWithProjection(vision_config(**changes)))


def feature_extractor() -> Any:
    size = {"height": PICTURE, "width": PICTURE}
    return by_pillow("CLIPImageProcessor", size={"shortest_edge": PICTURE}, crop_size=size)


# Inputs


def picture(size: int = PICTURE, seed: int = 5) -> torch.Tensor:
    """(1, 3, size, size), from 0 to 1."""
    return torch.rand(1, 3, size, size, generator=generator(seed))


def pil_picture(size: int = PICTURE, seed: int = 5) -> Image.Image:
    values = picture(size, seed)[0].permute(1, 2, 0).mul(255).round()
    return Image.fromarray(values.numpy().astype(np.uint8))


def mask(size: int = PICTURE) -> torch.Tensor:
    """(1, 1, size, size): 1 (to be painted) in the left half."""
    values = torch.zeros(1, 1, size, size)
    values[..., : size // 2] = 1.0
    return values


def embeddings(batch: int = 1, tokens: int = 5, seed: int = 7) -> dict[str, torch.Tensor]:
    """What stands in for a prompt and a negative prompt."""
    source = generator(seed)
    return {
        "prompt_embeds": torch.randn(batch, tokens, EMBEDDING, generator=source),
        "negative_prompt_embeds": torch.randn(batch, tokens, EMBEDDING, generator=source),
    }


def embeddings_xl(batch: int = 1) -> dict[str, torch.Tensor]:
    source = generator(8)
    pooled = {
        "pooled_prompt_embeds": torch.randn(batch, POOLED, generator=source),
        "negative_pooled_prompt_embeds": torch.randn(batch, POOLED, generator=source),
    }
    return embeddings(batch) | pooled


# Pipelines of the two families, without text encoder


def stable_diffusion(cls: Any, **changes: Any) -> Any:
    """A pipeline with the parts of Stable Diffusion; `changes` are other and further parts."""
    parts = {
        "vae": vae(),
        "text_encoder": None,
        "tokenizer": None,
        "unet": unet(),
        "scheduler": ddim(),
        "safety_checker": None,
        "feature_extractor": None,
        "requires_safety_checker": False,
    }
    return quiet(cls(**parts | changes))


def stable_diffusion_xl(cls: Any, **changes: Any) -> Any:
    """A pipeline with the parts of SDXL; `changes` are other and further parts."""
    parts = {
        "vae": vae(),
        "text_encoder": None,
        "text_encoder_2": None,
        "tokenizer": None,
        "tokenizer_2": None,
        "unet": unet_xl(),
        "scheduler": euler(),
        "add_watermarker": False,
    }
    return quiet(cls(**parts | changes))


def prompted() -> dict[str, Any]:
    """The text encoder and tokenizer, for pipelines that want words."""
    return {"text_encoder": text_encoder(), "tokenizer": tokenizer()}


def run(pipe: Any, guided: bool, **changes: Any) -> Any:
    """Latents of a call with `STEPS` steps and embeddings for the prompt."""
    call = {
        "num_inference_steps": STEPS,
        "guidance_scale": 5.0 if guided else 1.0,
        "output_type": "latent",
        "generator": generator(),
    }
    if "prompt" not in changes:
        call |= embeddings()
    return pipe(**call | changes).images


def run_xl(pipe: Any, guided: bool, **changes: Any) -> Any:
    """Latents of a call with `STEPS` steps and embeddings for the prompt."""
    return run(pipe, guided, **embeddings_xl() | changes)
