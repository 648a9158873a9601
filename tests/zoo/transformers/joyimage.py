"""JoyImage: the picture and what it is made from are frames of a video, or patches beside each other."""

from typing import Any

import torch
from diffusers import (
    AutoencoderKLWan,
    JoyImageEditPlusTransformer3DModel,
    JoyImageEditTransformer3DModel,
)
from torch import nn
from transformers import BatchEncoding

from tests.zoo import parts
from tests.zoo.case import STEPS
from tests.zoo.parts import EMBEDDING
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import case, drawing, flow, prompts, reducing, run

REDUCTION = 64  # of the VAE: pictures are scaled to a megapixel
EDITED = 8 * REDUCTION
LETTERS = 80  # the last ones of a prompt, that are read
SHAPE = {
    "patch_size": [1, 2, 2],
    "in_channels": 4,
    "hidden_size": 16,
    "num_attention_heads": 2,
    "text_dim": EMBEDDING,
    "mlp_width_ratio": 2.0,
    "num_layers": 6,
    "rope_dim_list": [2, 2, 4],
}


def vae() -> AutoencoderKLWan:
    """The pipelines take from `scale_factor_spatial` how much smaller a latent is."""
    shape = {
        "base_dim": 4,
        "z_dim": 4,
        "dim_mult": [1, 1],
        "num_res_blocks": 1,
        "temperal_downsample": [False],
        "latents_mean": [0.1, -0.1, 0.2, -0.2],
        "latents_std": [1.0, 1.1, 1.2, 1.3],
        "scale_factor_spatial": REDUCTION,
    }
    return reducing(parts.seeded(1, lambda: AutoencoderKLWan(**shape)), REDUCTION // 2)


class Reader(nn.Module):
    """A text encoder of one layer, in which the pipeline looks for the last one."""

    dtype = torch.float32
    device = torch.device("cpu")

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Module()
        self.model.language_model = nn.Module()
        self.model.language_model.layers = nn.ModuleList([nn.Embedding(256, EMBEDDING)])

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        return self.model.language_model.layers[-1](input_ids)


class Processor:
    """Every byte is a token; the pictures that the words are about are not looked at."""

    def __call__(self, text: list[str], **settings: Any) -> BatchEncoding:
        tokens = torch.tensor([list(words.encode()[-LETTERS:]) for words in text])
        return BatchEncoding({"input_ids": tokens, "attention_mask": torch.ones_like(tokens)})


def build(cls: Any, transformer: Any) -> Any:
    return parts.quiet(
        cls(
            scheduler=flow(),
            vae=vae(),
            text_encoder=parts.seeded(2, Reader),
            tokenizer=None,
            transformer=lively(0, lambda: transformer(**SHAPE)),
            processor=Processor(),
        )
    )


def build_edit(cls: Any) -> Any:
    return build(cls, JoyImageEditTransformer3DModel)


def build_plus(cls: Any) -> Any:
    return build(cls, JoyImageEditPlusTransformer3DModel)


def sample(pipe: Any, guided: bool, **changes: Any) -> Any:
    return run(pipe, guided, **prompts(mask="embeds_mask") | changes)


def sample_plus(pipe: Any, guided: bool, **changes: Any) -> Any:
    return pipe(
        prompt="a cat",
        negative_prompt="a dog",
        height=EDITED,
        width=EDITED,
        num_inference_steps=STEPS,
        guidance_scale=5.0 if guided else 1.0,
        generator=parts.generator(),
        output_type="latent",
        **changes,
    ).images


CASES = [
    case("JoyImageEditPipeline", "image", build_edit, sample),
    case(
        "JoyImageEditPipeline (picture)",
        "image",
        build_edit,
        drawing(sample),
        lambda: {"image": parts.pil_picture()},
    ),
    case("JoyImageEditPlusPipeline", "image", build_plus, sample_plus),
    case(
        "JoyImageEditPlusPipeline (pictures)",
        "image",
        build_plus,
        sample_plus,
        lambda: {"images": [parts.pil_picture(), parts.pil_picture(seed=6)]},
    ),
]
