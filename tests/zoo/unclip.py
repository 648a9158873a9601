"""unCLIP: a prior, a decoder on small pictures and two U-Nets that enlarge its result."""

from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import UnCLIPScheduler
from diffusers.pipelines.deprecated.unclip.text_proj import UnCLIPTextProjModel

from tests.zoo.case import STEPS, Case
from tests.zoo.kandinsky_parts import PRIOR_STEPS, SHAPE, prior, prior_parts
from tests.zoo.parts import (
    EMBEDDING,
    LATENT,
    PROMPT,
    feature_extractor,
    generator,
    image_encoder_with_projection,
    picture,
    quiet,
    seeded,
    text_encoder_with_projection,
    tokenizer,
    unet,
)
from tests.zoo.unconditional import unet as unconditional_unet

EXTRA_TOKENS = 3  # not so many that text and extra tokens are as many as the decoder's deepest pixels
TIME = 4 * SHAPE["block_out_channels"][0]  # channels of the decoder's time embedding


def text_projection() -> UnCLIPTextProjModel:
    shape = {
        "clip_extra_context_tokens": EXTRA_TOKENS,
        "clip_embeddings_dim": EMBEDDING,
        "time_embed_dim": TIME,
        "cross_attention_dim": EMBEDDING,
    }
    return seeded(5, lambda: UnCLIPTextProjModel(**shape))


def enlarger(seed: int) -> Any:
    """The small picture, enlarged, stands beside the noisy one."""
    model = unconditional_unet(
        sample_size=2 * LATENT,
        in_channels=6,
        down_block_types=("ResnetDownsampleBlock2D",) * 2,
        up_block_types=("ResnetUpsampleBlock2D",) * 2,
    )
    torch.manual_seed(seed)
    torch.nn.init.normal_(model.conv_out.weight, std=0.1)
    return model


def parts() -> dict[str, Any]:
    of_decoder = {
        "in_channels": 3,
        "out_channels": 6,
        "encoder_hid_dim": None,
        "class_embed_type": "identity",
    }
    return {
        "decoder": unet(**SHAPE | of_decoder),
        "text_encoder": text_encoder_with_projection(projection_dim=EMBEDDING),
        "tokenizer": tokenizer(),
        "text_proj": text_projection(),
        "super_res_first": enlarger(6),
        "super_res_last": enlarger(7),
        "decoder_scheduler": UnCLIPScheduler(variance_type="learned_range"),
        "super_res_scheduler": UnCLIPScheduler(variance_type="fixed_small_log"),
    }


def from_text() -> Any:
    of_prior = {"prior": prior(), "prior_scheduler": prior_parts()["scheduler"]}
    return quiet(diffusers.UnCLIPPipeline(**parts(), **of_prior))


def from_picture() -> Any:
    encoder = {"image_encoder": image_encoder_with_projection(), "feature_extractor": feature_extractor()}
    return quiet(diffusers.UnCLIPImageVariationPipeline(**parts(), **encoder))


def run(pipe: Any, guided: bool, **changes: Any) -> np.ndarray:
    """The picture (1, 16, 16, 3)."""
    call = {
        "decoder_num_inference_steps": STEPS,
        "super_res_num_inference_steps": STEPS,
        "decoder_guidance_scale": 4.0 if guided else 1.0,
        "generator": generator(),
        "output_type": "np",
    }
    return pipe(**call | changes).images


def run_from_text(pipe: Any, guided: bool) -> np.ndarray:
    scale = 4.0 if guided else 1.0
    return run(pipe, guided, prompt=PROMPT, prior_num_inference_steps=PRIOR_STEPS, prior_guidance_scale=scale)


def run_from_picture(pipe: Any, guided: bool) -> np.ndarray:
    return run(pipe, guided, image=picture())


CASES = [
    Case("UnCLIPPipeline", "image", from_text, run_from_text),
    Case("UnCLIPImageVariationPipeline", "image", from_picture, run_from_picture),
]
