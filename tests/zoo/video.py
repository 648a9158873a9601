"""Video pipelines with a U-Net of their own, and the two that make a video with an image U-Net."""

from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import (
    AutoencoderKLTemporalDecoder,
    EulerDiscreteScheduler,
    I2VGenXLUNet,
    UNet3DConditionModel,
    UNetSpatioTemporalConditionModel,
)

from tests.zoo.case import STEPS, Case
from tests.zoo.parts import (
    EMBEDDING,
    LATENT,
    PICTURE,
    PROMPT,
    ddim,
    embeddings,
    embeddings_xl,
    feature_extractor,
    generator,
    image_encoder_with_projection,
    picture,
    pil_picture,
    prompted,
    quiet,
    seeded,
    stable_diffusion,
    stable_diffusion_xl,
    vae,
)

FRAMES = 3
VIDEO2VIDEO_STEPS = 2 * STEPS  # of which half are run
SHAPE = {
    "sample_size": LATENT,
    "block_out_channels": (32, 32),  # the first temporal transformer has 32 groups
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "cross_attention_dim": EMBEDDING,
    "attention_head_dim": 4,
    "down_block_types": ("CrossAttnDownBlock3D", "DownBlock3D"),
    "up_block_types": ("UpBlock3D", "CrossAttnUpBlock3D"),
}


def modelscope(cls: Any) -> Any:
    model = seeded(0, lambda: UNet3DConditionModel(**SHAPE))
    none = {"text_encoder": None, "tokenizer": None}
    return quiet(cls(vae=vae(), unet=model, scheduler=ddim(), **none))


def stable_video_diffusion() -> Any:
    """The first frame's latent stands beside each frame's: eight channels."""
    shape = {
        "sample_size": LATENT,
        "block_out_channels": (32, 32),  # its norms have 32 groups
        "layers_per_block": 1,
        "num_attention_heads": (2, 2),
        "num_frames": FRAMES,
        "cross_attention_dim": EMBEDDING,
        "addition_time_embed_dim": 4,
        "projection_class_embeddings_input_dim": 3 * 4,
        "down_block_types": ("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        "up_block_types": ("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
    }
    temporal_vae = seeded(
        1,
        lambda: AutoencoderKLTemporalDecoder(
            block_out_channels=(32, 32), down_block_types=("DownEncoderBlock2D",) * 2
        ),
    )
    scheduler = EulerDiscreteScheduler(
        prediction_type="v_prediction",
        timestep_type="continuous",
        use_karras_sigmas=True,
        sigma_min=0.002,
        sigma_max=700.0,
        timestep_spacing="leading",
    )
    return quiet(
        diffusers.StableVideoDiffusionPipeline(
            vae=temporal_vae,
            image_encoder=image_encoder_with_projection(),
            unet=seeded(0, lambda: UNetSpatioTemporalConditionModel(**shape)),
            scheduler=scheduler,
            feature_extractor=feature_extractor(),
        )
    )


def i2vgen() -> Any:
    return quiet(
        diffusers.I2VGenXLPipeline(
            vae=vae(),
            image_encoder=image_encoder_with_projection(),
            feature_extractor=feature_extractor(),
            unet=seeded(0, lambda: I2VGenXLUNet(**SHAPE)),
            scheduler=ddim(),
            **prompted(),
        )
    )


def zero() -> Any:
    return stable_diffusion(diffusers.TextToVideoZeroPipeline, **prompted())


def zero_xl() -> Any:
    return stable_diffusion_xl(diffusers.TextToVideoZeroSDXLPipeline, scheduler=ddim())


def settings() -> dict[str, Any]:
    return {"num_inference_steps": STEPS, "output_type": "latent", "generator": generator()}


def scale(guided: bool) -> dict[str, Any]:
    return {"guidance_scale": 5.0 if guided else 1.0}


def run_text_to_video(pipe: Any, guided: bool) -> torch.Tensor:
    """Latents (1, 4, 3, 8, 8)."""
    size = {"num_frames": FRAMES, "height": PICTURE, "width": PICTURE}
    return pipe(**settings() | scale(guided) | embeddings() | size).frames


def run_video_to_video(pipe: Any, guided: bool) -> torch.Tensor:
    video = [np.asarray(pil_picture(seed=seed)) for seed in range(FRAMES)]
    half = {"video": video, "num_inference_steps": VIDEO2VIDEO_STEPS, "strength": 0.5}
    return pipe(**settings() | scale(guided) | embeddings() | half).frames


def run_image_to_video(pipe: Any, guided: bool) -> torch.Tensor:
    """Latents (1, 3, 4, 8, 8)."""
    size = {"num_frames": FRAMES, "height": PICTURE, "width": PICTURE}
    return pipe(picture(), max_guidance_scale=3.0 if guided else 1.0, **settings() | size).frames


def run_i2vgen(pipe: Any, guided: bool) -> torch.Tensor:
    call = {"prompt": PROMPT, "clip_skip": None, "image": pil_picture(2 * PICTURE)}
    size = {"num_frames": FRAMES, "height": PICTURE, "width": PICTURE}
    torch.manual_seed(0)  # it encodes the picture without the generator
    return pipe(**settings() | scale(guided) | call | size).frames


def run_zero(pipe: Any, guided: bool) -> torch.Tensor:
    """Latents (3, 4, 8, 8); the first frame's alone until step 2, and the others' from step 2 again.

    Always guided: its attention across frames expects both halves of the batch.
    """
    call = {"prompt": PROMPT, "video_length": FRAMES, "t0": 1, "t1": 3}
    motion = {"motion_field_strength_x": 1, "motion_field_strength_y": 1}
    return pipe(**settings() | scale(True) | call | motion).images


def run_zero_xl(pipe: Any, guided: bool) -> torch.Tensor:
    call = {"prompt": None, "video_length": FRAMES, "t0": 1, "t1": 3}
    motion = {"motion_field_strength_x": 1, "motion_field_strength_y": 1}
    return pipe(**settings() | scale(True) | embeddings_xl() | call | motion).images


CASES = [
    Case(
        "TextToVideoSDPipeline",
        "video",
        lambda: modelscope(diffusers.TextToVideoSDPipeline),
        run_text_to_video,
    ),
    Case(
        "VideoToVideoSDPipeline",
        "video",
        lambda: modelscope(diffusers.VideoToVideoSDPipeline),
        run_video_to_video,
    ),
    Case("StableVideoDiffusionPipeline", "video", stable_video_diffusion, run_image_to_video),
    Case("I2VGenXLPipeline", "video", i2vgen, run_i2vgen),
    Case("TextToVideoZeroPipeline", "video", zero, run_zero, guidance=False),
    Case("TextToVideoZeroSDXLPipeline", "video", zero_xl, run_zero_xl, guidance=False),
]
