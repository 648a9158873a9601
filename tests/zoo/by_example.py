"""Subjects given by a picture: Paint by Example and BLIP-Diffusion."""

import tempfile
from typing import Any

import torch
from diffusers import (
    BlipDiffusionControlNetPipeline,
    BlipDiffusionPipeline,
    PaintByExamplePipeline,
    PNDMScheduler,
)
from diffusers.pipelines.deprecated.blip_diffusion.blip_image_processing import BlipImageProcessor
from diffusers.pipelines.deprecated.blip_diffusion.modeling_blip2 import Blip2QFormerModel
from diffusers.pipelines.deprecated.blip_diffusion.modeling_ctx_clip import ContextCLIPTextModel
from diffusers.pipelines.deprecated.paint_by_example.image_encoder import PaintByExampleImageEncoder
from transformers import BertTokenizer, Blip2Config

from tests.zoo import parts
from tests.zoo.case import STEPS, Case

QUERIES = 4  # tokens that stand for the subject
PICTURE = parts.PICTURE


def paint_by_example() -> Any:
    encoder = parts.seeded(
        3, lambda: PaintByExampleImageEncoder(parts.vision_config(), proj_size=parts.EMBEDDING)
    )
    return parts.quiet(
        PaintByExamplePipeline(
            vae=parts.vae(),
            image_encoder=encoder,
            unet=parts.unet(in_channels=9),
            scheduler=parts.ddim(),
            safety_checker=None,
            feature_extractor=parts.feature_extractor(),
        )
    )


def sample_paint_by_example(pipe: Any, guided: bool) -> torch.Tensor:
    return pipe(
        example_image=parts.picture(seed=6),
        image=2 * parts.picture() - 1,
        mask_image=parts.mask(),
        height=PICTURE,
        width=PICTURE,
        num_inference_steps=STEPS,
        guidance_scale=5.0 if guided else 1.0,
        generator=parts.generator(),
        output_type="latent",
    ).images


class QFormer(Blip2QFormerModel):
    """Tokens for the subject, without looking at it: the original cannot be called with transformers 5.

    It needs `invert_attention_mask` and `get_head_mask`, which models no longer have, and attention layers
    that return tuples.
    """

    def forward(self, image_input: torch.Tensor, text_input: Any, return_dict: bool) -> torch.Tensor:
        return self.proj_layer(self.query_tokens + image_input.mean())


def qformer() -> QFormer:
    """It loads its tokenizer by name, so one is saved for it to find."""
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "dog"]
    layers = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    vision = {"image_size": PICTURE, "patch_size": PICTURE // 2, "hidden_act": "quick_gelu"}
    queries = {"vocab_size": 16, "cross_attention_frequency": 1, "encoder_hidden_size": 8}
    with tempfile.TemporaryDirectory() as folder:
        BertTokenizer(vocab={word: index for index, word in enumerate(words)}).save_pretrained(folder)
        config = Blip2Config(
            vision_config=layers | vision,
            qformer_config=layers | queries | {"hidden_size": parts.EMBEDDING},
            num_query_tokens=QUERIES,
            tokenizer=folder,
        )
        return parts.seeded(4, lambda: QFormer(config))


def blip(cls: Any, **more: Any) -> Any:
    return parts.quiet(
        cls(
            tokenizer=parts.tokenizer(),
            text_encoder=parts.seeded(2, lambda: ContextCLIPTextModel(parts.text_config())),
            vae=parts.vae(),
            unet=parts.unet(),
            scheduler=PNDMScheduler(beta_schedule="scaled_linear", skip_prk_steps=True),
            qformer=qformer(),
            image_processor=BlipImageProcessor(size={"height": PICTURE, "width": PICTURE}),
            **more,
        )
    )


def sample_blip(pipe: Any, guided: bool, **changes: Any) -> Any:
    call = {
        "prompt": ["swims"],
        "reference_image": parts.pil_picture(),
        "source_subject_category": ["cat"],
        "target_subject_category": ["dog"],
        "prompt_reps": 1,
        "height": PICTURE,
        "width": PICTURE,
        "num_inference_steps": STEPS,
        "guidance_scale": 5.0 if guided else 1.0,
        "generator": parts.generator(),
        "output_type": "np",
    }
    return pipe(**call | changes).images


def sample_blip_controlnet(pipe: Any, guided: bool) -> Any:
    return sample_blip(pipe, guided, condtioning_image=parts.pil_picture(seed=6))  # diffusers' spelling


CASES = [
    Case("PaintByExamplePipeline", "inpainting", paint_by_example, sample_paint_by_example),
    Case("BlipDiffusionPipeline", "image", lambda: blip(BlipDiffusionPipeline), sample_blip),
    Case(
        "BlipDiffusionControlNetPipeline",
        "controlnet",
        lambda: blip(BlipDiffusionControlNetPipeline, controlnet=parts.controlnet()),
        sample_blip_controlnet,
    ),
]
