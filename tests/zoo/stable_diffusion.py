"""Stable Diffusion and its relatives from a text or a picture: the pipelines that diffusers keeps up."""

from typing import Any

import torch
from diffusers import (
    DDPMScheduler,
    LatentConsistencyModelImg2ImgPipeline,
    LatentConsistencyModelPipeline,
    LCMScheduler,
    PriorTransformer,
    StableDiffusionDepth2ImgPipeline,
    StableDiffusionImageVariationPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInstructPix2PixPipeline,
    StableDiffusionLatentUpscalePipeline,
    StableDiffusionPipeline,
    StableDiffusionUpscalePipeline,
    StableUnCLIPImg2ImgPipeline,
    StableUnCLIPPipeline,
    UnCLIPScheduler,
)
from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer
from transformers import DPTConfig, DPTForDepthEstimation

from tests.zoo import parts
from tests.zoo.case import STEPS, Case
from tests.zoo.processors import by_pillow

STRENGTH = 0.9  # of six steps, five are run


def sample_img2img(pipe: Any, guided: bool) -> Any:
    return parts.run(pipe, guided, image=parts.picture(), strength=STRENGTH)


def depth2img() -> Any:
    shape = {
        "image_size": 32,
        "patch_size": 16,
        "hidden_size": parts.EMBEDDING,
        "intermediate_size": parts.EMBEDDING,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "backbone_out_indices": [0, 1, 2, 3],
        "neck_hidden_sizes": [8, 8, 8, 8],
        "reassemble_factors": [4, 2, 1, 0.5],
        "fusion_hidden_size": 8,
        "is_hybrid": False,
    }
    return parts.quiet(
        StableDiffusionDepth2ImgPipeline(
            vae=parts.vae(),
            text_encoder=None,
            tokenizer=None,
            unet=parts.unet(in_channels=5),
            scheduler=parts.ddim(),
            depth_estimator=parts.seeded(4, lambda: DPTForDepthEstimation(DPTConfig(**shape))),
            feature_extractor=by_pillow("DPTImageProcessor", size={"height": 32, "width": 32}),
        )
    )


def image_variation() -> Any:
    return parts.quiet(
        StableDiffusionImageVariationPipeline(
            vae=parts.vae(),
            image_encoder=parts.image_encoder_with_projection(),
            unet=parts.unet(),
            scheduler=parts.ddim(),
            safety_checker=None,
            feature_extractor=parts.feature_extractor(),
            requires_safety_checker=False,
        )
    )


def sample_image_variation(pipe: Any, guided: bool) -> torch.Tensor:
    return pipe(
        parts.picture(),
        num_inference_steps=STEPS,
        guidance_scale=5.0 if guided else 1.0,
        generator=parts.generator(),
        output_type="latent",
    ).images


def instruct_pix2pix() -> Any:
    return parts.stable_diffusion(
        StableDiffusionInstructPix2PixPipeline, unet=parts.unet(in_channels=8), image_encoder=None
    )


def sample_instruct_pix2pix(pipe: Any, guided: bool) -> Any:
    """Guidance by the text and by the picture: three lots in a batch."""
    return parts.run(pipe, guided, image=parts.picture(), image_guidance_scale=1.5)


def latent_upscale() -> Any:
    """With k-diffusion's blocks: one skip connection each, no mid block."""
    unet = parts.unet(
        in_channels=8,
        out_channels=5,
        block_out_channels=(32, 64, 64),
        down_block_types=("KDownBlock2D", "KCrossAttnDownBlock2D", "KCrossAttnDownBlock2D"),
        mid_block_type=None,
        up_block_types=("KCrossAttnUpBlock2D", "KCrossAttnUpBlock2D", "KUpBlock2D"),
        attention_head_dim=8,
        norm_num_groups=None,
        act_fn="gelu",
        conv_in_kernel=1,
        conv_out_kernel=1,
        resnet_time_scale_shift="scale_shift",
        time_embedding_type="fourier",
        timestep_post_act="gelu",
        time_cond_proj_dim=2 * 64 + parts.POOLED,
    )
    return parts.quiet(
        StableDiffusionLatentUpscalePipeline(
            vae=parts.vae(),
            text_encoder=None,
            tokenizer=None,
            unet=unet,
            scheduler=parts.euler(prediction_type="sample"),
        )
    )


def sample_latent_upscale(pipe: Any, guided: bool) -> Any:
    return parts.run(pipe, guided, **parts.embeddings_xl(), image=parts.picture(8))


def upscale() -> Any:
    return parts.quiet(
        StableDiffusionUpscalePipeline(
            vae=parts.vae(),
            text_encoder=None,
            tokenizer=None,
            unet=parts.unet(in_channels=7, num_class_embeds=1000),
            low_res_scheduler=DDPMScheduler(),
            scheduler=parts.ddim(),
        )
    )


def sample_upscale(pipe: Any, guided: bool) -> Any:
    return parts.run(pipe, guided, image=parts.picture(parts.LATENT))


def noising() -> dict[str, Any]:
    """What stable unCLIP does to an image's embedding."""
    return {
        "image_normalizer": parts.seeded(4, lambda: StableUnCLIPImageNormalizer(parts.EMBEDDING)),
        "image_noising_scheduler": DDPMScheduler(beta_schedule="squaredcos_cap_v2"),
    }


def unclip_parts() -> dict[str, Any]:
    return {
        "vae": parts.vae(),
        **parts.prompted(),
        "unet": parts.unet(
            class_embed_type="projection", projection_class_embeddings_input_dim=2 * parts.EMBEDDING
        ),
        "scheduler": parts.ddim(prediction_type="v_prediction"),
        **noising(),
    }


def stable_unclip() -> Any:
    prior = parts.seeded(
        5,
        lambda: PriorTransformer(
            num_attention_heads=2,
            attention_head_dim=4,
            embedding_dim=parts.EMBEDDING,
            num_embeddings=parts.TOKENS,
            num_layers=1,
        ),
    )
    return parts.quiet(
        StableUnCLIPPipeline(
            prior_tokenizer=parts.tokenizer(),
            prior_text_encoder=parts.text_encoder_with_projection(projection_dim=parts.EMBEDDING),
            prior=prior,
            prior_scheduler=UnCLIPScheduler(
                variance_type="fixed_small_log", prediction_type="sample", num_train_timesteps=1000
            ),
            **unclip_parts(),
        )
    )


def stable_unclip_img2img() -> Any:
    return parts.quiet(
        StableUnCLIPImg2ImgPipeline(
            feature_extractor=parts.feature_extractor(),
            image_encoder=parts.image_encoder_with_projection(),
            **unclip_parts(),
        )
    )


def latent_consistency(cls: Any) -> Any:
    unet = parts.unet(time_cond_proj_dim=8)
    return parts.stable_diffusion(cls, unet=unet, scheduler=LCMScheduler())


def sample_latent_consistency(pipe: Any, guided: bool, **changes: Any) -> Any:
    """The guidance scale is a condition of the U-Net."""
    prompt = parts.embeddings()["prompt_embeds"]
    call = {"prompt": None, "prompt_embeds": prompt, "guidance_scale": 8.0 if guided else 1.0}
    return parts.run(pipe, guided, **call | changes)


CASES = [
    Case(
        "StableDiffusionPipeline",
        "image",
        lambda: parts.stable_diffusion(StableDiffusionPipeline),
        parts.run,
    ),
    Case(
        "StableDiffusionPipeline (in words)",
        "image",
        lambda: parts.stable_diffusion(StableDiffusionPipeline, **parts.prompted()),
        lambda pipe, guided: parts.run(pipe, guided, prompt=parts.PROMPT),
    ),
    Case(
        "StableDiffusionImg2ImgPipeline",
        "image",
        lambda: parts.stable_diffusion(StableDiffusionImg2ImgPipeline),
        sample_img2img,
    ),
    Case("StableDiffusionDepth2ImgPipeline", "image", depth2img, sample_img2img),
    Case("StableDiffusionImageVariationPipeline", "image", image_variation, sample_image_variation),
    Case("StableDiffusionInstructPix2PixPipeline", "image", instruct_pix2pix, sample_instruct_pix2pix),
    Case("StableDiffusionLatentUpscalePipeline", "image", latent_upscale, sample_latent_upscale),
    Case("StableDiffusionUpscalePipeline", "image", upscale, sample_upscale),
    Case(
        "StableUnCLIPPipeline",
        "image",
        stable_unclip,
        lambda pipe, guided: parts.run(pipe, guided, prompt=parts.PROMPT, prior_num_inference_steps=2),
    ),
    Case(
        "StableUnCLIPImg2ImgPipeline",
        "image",
        stable_unclip_img2img,
        lambda pipe, guided: parts.run(pipe, guided, prompt=parts.PROMPT, image=parts.picture()),
    ),
    Case(
        "LatentConsistencyModelPipeline",
        "image",
        lambda: latent_consistency(LatentConsistencyModelPipeline),
        sample_latent_consistency,
    ),
    Case(
        "LatentConsistencyModelImg2ImgPipeline",
        "image",
        lambda: latent_consistency(LatentConsistencyModelImg2ImgPipeline),
        lambda pipe, guided: sample_latent_consistency(
            pipe, guided, image=parts.picture(), strength=STRENGTH
        ),
    ),
]
