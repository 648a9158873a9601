"""Tiny random pipelines, the same weights each time they are built."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDIMScheduler,
    DDPMPipeline,
    DDPMScheduler,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
    UNet2DModel,
)

from mmcache import Plan, Taylor, Uniform, accelerate

PLAN = Plan(Uniform(3), Taylor(1))
SIZE = 16  # of the latent
STEPS = 10

SHAPE = {
    "sample_size": SIZE,
    "block_out_channels": (16, 32, 32),
    "layers_per_block": 2,
    "norm_num_groups": 8,
    "cross_attention_dim": 16,
    "attention_head_dim": 4,
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
}


def unet(**changes: Any) -> UNet2DConditionModel:
    """Three levels, nine skip connections."""
    torch.manual_seed(0)
    return UNet2DConditionModel(**SHAPE | changes).eval()


def unconditional_unet(**changes: Any) -> UNet2DModel:
    torch.manual_seed(0)
    shape = {
        "sample_size": SIZE,
        "block_out_channels": (16, 32),
        "layers_per_block": 2,
        "norm_num_groups": 8,
        "attention_head_dim": 8,
        "down_block_types": ("DownBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "UpBlock2D"),
    }
    return UNet2DModel(**shape | changes).eval()


def vae(channels: int = 4) -> AutoencoderKL:
    torch.manual_seed(1)
    return AutoencoderKL(
        block_out_channels=(8, 8),
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=channels,
    ).eval()


def ddim() -> DDIMScheduler:
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def stable_diffusion(cls: Any = StableDiffusionPipeline, scheduler: Any = None, **changes: Any) -> Any:
    """A pipeline of class `cls` without text encoder; `sample` gives it embeddings."""
    pipe = cls(
        vae=vae(),
        text_encoder=None,
        tokenizer=None,
        unet=unet(**changes),
        scheduler=scheduler or ddim(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


# Two levels, four skip connections, a quarter of the pixels, no attention in the middle: where a law is of
# the run, not of the layers.
SMALL = {
    "sample_size": SIZE // 2,
    "block_out_channels": (16, 16),
    "layers_per_block": 1,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
    "mid_block_type": "UNetMidBlock2D",
}


def small(cls: Any = StableDiffusionPipeline, scheduler: Any = None, **changes: Any) -> Any:
    """The same pipeline, a quarter of the time."""
    return stable_diffusion(cls, scheduler, **SMALL | changes)


def small_unet(**changes: Any) -> UNet2DConditionModel:
    return unet(**SMALL | changes)


def embeddings(batch: int = 1, seed: int = 7) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "prompt_embeds": torch.randn(batch, 5, 16, generator=generator),
        "negative_prompt_embeds": torch.randn(batch, 5, 16, generator=generator),
    }


def sample(pipe: Any, **changes: Any) -> torch.Tensor:
    """Latents (batch, 4, 16, 16) of a run of ten steps with guidance."""
    call = {
        **embeddings(changes.pop("batch", 1)),
        "num_inference_steps": STEPS,
        "guidance_scale": 5.0,
        "output_type": "latent",
        "generator": torch.Generator().manual_seed(changes.pop("seed", 0)),
    }
    return pipe(**call | changes).images


@cache
def plain(make: Callable[[], Any] = small) -> torch.Tensor:
    """What a fresh pipeline samples without a cache."""
    return sample(make())


@cache
def cached(
    make: Callable[[], Any] = small, run: Callable[[Any], Any] = sample, plan: Plan = PLAN
) -> torch.Tensor:
    """What a fresh pipeline samples with a plan."""
    pipe = make()
    accelerate(pipe, plan)
    return run(pipe)


@cache
def reference_macs() -> int | None:
    """The multiply-adds of `small` with `PLAN`."""
    pipe = small()
    session = accelerate(pipe, PLAN)
    sample(pipe)
    return session.report().denoisers[0].macs


def sdxl() -> StableDiffusionXLPipeline:
    pipe = StableDiffusionXLPipeline(
        vae=vae(),
        text_encoder=None,
        text_encoder_2=None,
        tokenizer=None,
        tokenizer_2=None,
        unet=unet(
            sample_size=SIZE // 2,
            block_out_channels=(16, 32),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            transformer_layers_per_block=(1, 2),
            addition_embed_type="text_time",
            addition_time_embed_dim=4,
            projection_class_embeddings_input_dim=6 * 4 + 8,
            use_linear_projection=True,
        ),
        scheduler=EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear"),
        add_watermarker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def sample_sdxl(pipe: Any, **changes: Any) -> torch.Tensor:
    pooled = torch.randn(2, 8, generator=torch.Generator().manual_seed(3))
    changes = {"pooled_prompt_embeds": pooled[:1], "negative_pooled_prompt_embeds": pooled[1:]} | changes
    return sample(pipe, **changes)


def ddpm(**changes: Any) -> DDPMPipeline:
    pipe = DDPMPipeline(unconditional_unet(**changes), DDPMScheduler())
    pipe.set_progress_bar_config(disable=True)
    return pipe


def sample_ddpm(pipe: Any, **changes: Any) -> Any:
    call = {"num_inference_steps": STEPS, "output_type": "np", "generator": torch.Generator().manual_seed(0)}
    return pipe(**call | changes).images


def steps_of(session: Any) -> str:
    """The last run as one letter per call: F for full, the branch's digit for cached."""
    calls = session.report().denoisers[0].steps
    return "".join("F" if call.branch is None else str(call.branch) for call in calls)
