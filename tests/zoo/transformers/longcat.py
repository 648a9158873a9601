"""LongCat-Image: Flux's blocks; the prompt has to be given in words."""

from typing import Any

import torch
from diffusers import AutoencoderKL, LongCatImageTransformer2DModel
from transformers import T5Config, T5EncoderModel

from tests.zoo import parts
from tests.zoo.case import STEPS
from tests.zoo.parts import EMBEDDING
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import case, flow, reducing, run

LATENT = 16  # channels, whatever the VAE
WORDS = 8  # tokens that a prompt is padded to
REDUCTION = 64  # of the VAE for edited pictures, which are scaled to a megapixel
SHAPE = {
    "in_channels": 4 * LATENT,
    "num_layers": 2,
    "num_single_layers": 5,
    "attention_head_dim": 8,
    "num_attention_heads": 2,
    "joint_attention_dim": EMBEDDING,
    "pooled_projection_dim": EMBEDDING,
    "axes_dims_rope": [2, 2, 4],
}
MARKS = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>"]


class Reader(T5EncoderModel):
    """It does not look at the picture that the words are about."""

    def forward(self, pixel_values: Any = None, image_grid_thw: Any = None, **kwargs: Any) -> Any:
        return super().forward(**kwargs)


class ImageProcessor:
    merge_size = 2

    def __call__(self, images: Any, return_tensors: str) -> dict[str, torch.Tensor]:
        return {"pixel_values": torch.zeros(16, 4), "image_grid_thw": torch.tensor([[1, 4, 4]])}


class TextProcessor:
    image_processor = ImageProcessor()


def build(cls: Any, vae: AutoencoderKL | None = None) -> Any:
    words = parts.tokenizer()
    words.add_tokens(MARKS)
    config = T5Config(
        vocab_size=len(words), d_model=EMBEDDING, d_ff=EMBEDDING, d_kv=8, num_heads=2, num_layers=1
    )
    pipe = cls(
        scheduler=flow(),
        vae=vae or parts.vae(LATENT, shift_factor=0.1),
        text_encoder=parts.seeded(2, lambda: Reader(config)),
        tokenizer=words,
        text_processor=TextProcessor(),
        transformer=lively(0, lambda: LongCatImageTransformer2DModel(**SHAPE)),
    )
    pipe.tokenizer_max_length = WORDS
    return parts.quiet(pipe)


def reducing_vae() -> AutoencoderKL:
    """The pipeline takes from `block_out_channels` how much smaller a latent is."""
    model = reducing(parts.vae(LATENT, shift_factor=0.1), REDUCTION // 2)
    model.register_to_config(block_out_channels=(4,) * REDUCTION.bit_length())
    return model


def sample(pipe: Any, guided: bool) -> Any:
    words = {"prompt": "a cat", "negative_prompt": "a dog", "enable_prompt_rewrite": False}
    return run(pipe, guided, **words)


def sample_edit(pipe: Any, guided: bool) -> Any:
    return pipe(
        parts.pil_picture(),
        prompt="a cat",
        negative_prompt="a dog",
        num_inference_steps=STEPS,
        guidance_scale=5.0 if guided else 1.0,
        generator=parts.generator(),
        output_type="latent",
    ).images


CASES = [
    case("LongCatImagePipeline", "image", build, sample),
    case("LongCatImageEditPipeline", "image", lambda cls: build(cls, reducing_vae()), sample_edit),
]
