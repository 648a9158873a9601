"""Parts of Kandinsky 2.1 and 2.2: a U-Net driven by an image embedding, and the prior that makes it."""

from typing import Any

import torch
from diffusers import DDIMScheduler, PriorTransformer, UnCLIPScheduler, VQModel
from diffusers.pipelines.kandinsky.text_encoder import MCLIPConfig, MultilingualCLIP

from tests.zoo.case import STEPS
from tests.zoo.parts import (
    EMBEDDING,
    PICTURE,
    PROMPT,
    TOKENS,
    feature_extractor,
    generator,
    image_encoder_with_projection,
    mask,
    picture,
    quiet,
    seeded,
    text_encoder_with_projection,
    tokenizer,
    unet,
)

IMG2IMG_STEPS = 2 * STEPS  # of which half are run
HINT = 64  # the U-Net's own encoder makes it eight times smaller
PRIOR_STEPS = 3
SHAPE = {
    "out_channels": 8,
    "block_out_channels": (32, 32),  # its attentions have 32 groups, whatever the others have
    "down_block_types": ("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "up_block_types": ("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
    "encoder_hid_dim": EMBEDDING,
    "attention_head_dim": 8,
    "resnet_time_scale_shift": "scale_shift",
}
OF_TEXT = {"encoder_hid_dim_type": "text_image_proj", "addition_embed_type": "text_image"}
OF_IMAGE = {"encoder_hid_dim_type": "image_proj", "addition_embed_type": "image"}
OF_HINT = {"encoder_hid_dim_type": "image_proj", "addition_embed_type": "image_hint", "in_channels": 8}
INPAINTING = {"in_channels": 9}  # the latent, the masked picture's latent, the mask


def movq() -> VQModel:
    """Pictures (3, 2h, 2w) to latents (4, h, w)."""
    shape = {
        "block_out_channels": (32, 32),  # its spatial norms have 32 groups
        "norm_type": "spatial",
        "down_block_types": ("DownEncoderBlock2D",) * 2,
        "up_block_types": ("UpDecoderBlock2D",) * 2,
        "latent_channels": 4,
        "vq_embed_dim": 4,
        "num_vq_embeddings": 8,
    }
    return seeded(1, lambda: VQModel(**shape))


def multilingual_clip() -> MultilingualCLIP:
    """Token ids (n, 77) to embeddings (n, 77, EMBEDDING) and a pooled one (n, EMBEDDING)."""
    config = MCLIPConfig(
        transformerDimSize=EMBEDDING,
        imageDimSize=EMBEDDING,
        vocab_size=len(tokenizer()),
        hidden_size=EMBEDDING,
        intermediate_size=EMBEDDING,
        num_attention_heads=2,
        num_hidden_layers=1,
        max_position_embeddings=80,
    )
    return seeded(2, lambda: MultilingualCLIP(config))


def prior() -> PriorTransformer:
    shape = {
        "num_attention_heads": 2,
        "attention_head_dim": 8,
        "num_layers": 1,
        "embedding_dim": EMBEDDING,
        "num_embeddings": TOKENS,
        "additional_embeddings": 4,
    }
    return seeded(4, lambda: PriorTransformer(**shape))


def scheduler() -> DDIMScheduler:
    return DDIMScheduler(beta_start=0.00085, beta_end=0.012, clip_sample=False, set_alpha_to_one=False)


def decoder_parts(shape: dict[str, Any]) -> dict[str, Any]:
    parts = {"unet": unet(**SHAPE | shape), "scheduler": scheduler(), "movq": movq()}
    if shape["encoder_hid_dim_type"] == "text_image_proj":
        parts |= {"text_encoder": multilingual_clip(), "tokenizer": tokenizer()}
    return parts


def prior_parts() -> dict[str, Any]:
    return {
        "prior": prior(),
        "image_encoder": image_encoder_with_projection(),
        "text_encoder": text_encoder_with_projection(projection_dim=EMBEDDING),
        "tokenizer": tokenizer(),
        "scheduler": UnCLIPScheduler(
            variance_type="fixed_small_log",
            prediction_type="sample",
            num_train_timesteps=1000,
            clip_sample_range=5.0,
        ),
        "image_processor": feature_extractor(),
    }


def build(cls: Any, shape: dict[str, Any]) -> Any:
    return quiet(cls(**decoder_parts(shape)))


def build_prior(cls: Any) -> Any:
    return quiet(cls(**prior_parts()))


def build_combined(cls: Any, shape: dict[str, Any]) -> Any:
    """Prior and decoder in one pipeline, which holds a pipeline of each inside."""
    of_prior = {f"prior_{name}": part for name, part in prior_parts().items()}
    return quiet(cls(**decoder_parts(shape), **of_prior))


def image_embeds() -> dict[str, torch.Tensor]:
    source = generator(7)
    return {
        "image_embeds": torch.randn(1, EMBEDDING, generator=source),
        "negative_image_embeds": torch.randn(1, EMBEDDING, generator=source),
    }


def settings(guided: bool) -> dict[str, Any]:
    return {
        "height": PICTURE,
        "width": PICTURE,
        "num_inference_steps": STEPS,
        "guidance_scale": 4.0 if guided else 1.0,
        "generator": generator(),
        "output_type": "pt",
    }


def on_picture() -> dict[str, Any]:
    return {"image": 2 * picture() - 1, "num_inference_steps": IMG2IMG_STEPS, "strength": 0.5}


def masked() -> dict[str, Any]:
    return {"image": 2 * picture() - 1, "mask_image": mask()}


def hint() -> dict[str, Any]:
    return {"hint": picture(HINT, seed=6)}


def run(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    """The picture (1, 3, 16, 16) of a decoder."""
    return pipe(**settings(guided) | image_embeds() | changes).images


def run_with_text(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    return run(pipe, guided, prompt=PROMPT, **changes)


def run_prior(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    """The image embedding (1, EMBEDDING)."""
    call = {"num_inference_steps": STEPS, "guidance_scale": 4.0 if guided else 1.0, "generator": generator()}
    return pipe(PROMPT, **call | changes).image_embeds


def run_combined(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    of_prior = {
        "prior_num_inference_steps": PRIOR_STEPS,
        "prior_guidance_scale": 4.0 if guided else 1.0,
    }
    return pipe(**settings(guided) | of_prior | {"prompt": PROMPT} | changes).images


NO_UNET = "PriorTransformer.* has no deep part"
