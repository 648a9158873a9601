"""DeepFloyd IF: a U-Net on pictures (three channels in, six out: the mean and a variance), text from T5."""

from typing import Any

import diffusers
from diffusers import DDPMScheduler

from tests.zoo.case import STEPS, Case
from tests.zoo.parts import EMBEDDING, LATENT, embeddings, generator, mask, picture, quiet, unet

IMG2IMG_STEPS = 2 * STEPS  # of which half are run
SHAPE = {
    "block_out_channels": (32, 32),  # its attentions have 32 groups, whatever the others have
    "encoder_hid_dim": EMBEDDING,
    "cross_attention_dim": 32,
    "attention_head_dim": 8,
    "in_channels": 3,
    "out_channels": 6,
    "down_block_types": ("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "up_block_types": ("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
    "addition_embed_type": "text",
    "addition_embed_type_num_heads": 2,
    "cross_attention_norm": "group_norm",
    "resnet_time_scale_shift": "scale_shift",
    "act_fn": "gelu",
}


def scheduler() -> DDPMScheduler:
    return DDPMScheduler(thresholding=True, dynamic_thresholding_ratio=0.95, variance_type="learned_range")


def build(cls: Any, **changes: Any) -> Any:
    """A pipeline of the first stage; `changes` are further parts."""
    parts = {
        "tokenizer": None,
        "text_encoder": None,
        "unet": unet(**SHAPE),
        "scheduler": scheduler(),
        "safety_checker": None,
        "feature_extractor": None,
        "watermarker": None,
        "requires_safety_checker": False,
    }
    return quiet(cls(**parts | changes))


def build_second_stage(cls: Any) -> Any:
    """A super-resolution pipeline: the small picture stands beside the noisy one."""
    model = unet(**SHAPE | {"in_channels": 6, "class_embed_type": "timestep"})
    return build(cls, unet=model, image_noising_scheduler=DDPMScheduler())


def run(pipe: Any, guided: bool, **changes: Any) -> Any:
    """Pictures (1, 3, h, w) of a call with `STEPS` steps."""
    call = {
        "num_inference_steps": STEPS,
        "guidance_scale": 5.0 if guided else 1.0,
        "output_type": "pt",
        "generator": generator(),
    }
    return pipe(**embeddings() | call | changes).images


def run_on_picture(pipe: Any, guided: bool, **changes: Any) -> Any:
    half = {"num_inference_steps": IMG2IMG_STEPS, "strength": 0.5}
    return run(pipe, guided, **{"image": picture(LATENT)} | half | changes)


def run_inpainting(pipe: Any, guided: bool, **changes: Any) -> Any:
    return run_on_picture(pipe, guided, mask_image=mask(LATENT), **changes)


def run_super_resolution(pipe: Any, guided: bool) -> Any:
    return run(pipe, guided, image=picture(LATENT // 2), height=LATENT, width=LATENT)


def run_img2img_super_resolution(pipe: Any, guided: bool) -> Any:
    return run_on_picture(pipe, guided, image=picture(LATENT // 2), original_image=picture(LATENT))


def run_inpainting_super_resolution(pipe: Any, guided: bool) -> Any:
    return run_inpainting(pipe, guided, image=picture(LATENT // 2), original_image=picture(LATENT))


CASES = [
    Case("IFPipeline", "image", lambda: build(diffusers.IFPipeline), run),
    Case("IFImg2ImgPipeline", "image", lambda: build(diffusers.IFImg2ImgPipeline), run_on_picture),
    Case("IFInpaintingPipeline", "inpainting", lambda: build(diffusers.IFInpaintingPipeline), run_inpainting),
    Case(
        "IFSuperResolutionPipeline",
        "image",
        lambda: build_second_stage(diffusers.IFSuperResolutionPipeline),
        run_super_resolution,
    ),
    Case(
        "IFImg2ImgSuperResolutionPipeline",
        "image",
        lambda: build_second_stage(diffusers.IFImg2ImgSuperResolutionPipeline),
        run_img2img_super_resolution,
    ),
    Case(
        "IFInpaintingSuperResolutionPipeline",
        "inpainting",
        lambda: build_second_stage(diffusers.IFInpaintingSuperResolutionPipeline),
        run_inpainting_super_resolution,
    ),
]
