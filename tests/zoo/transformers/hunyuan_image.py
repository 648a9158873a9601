"""Hunyuan-Image 2.1 and its refiner: double and single blocks; a guider of its own mixes the predictions."""

from typing import Any

import torch
from diffusers import HunyuanImageTransformer2DModel
from diffusers.guiders import AdaptiveProjectedMixGuidance

from tests.zoo import parts
from tests.zoo.parts import EMBEDDING, LATENT
from tests.zoo.random_weights import lively
from tests.zoo.transformers.parts import case, flow, noise, prompts, run

SHAPE = {
    "in_channels": 4,
    "out_channels": 4,
    "num_attention_heads": 2,
    "attention_head_dim": 8,
    "num_layers": 2,
    "num_single_layers": 5,
    "num_refiner_layers": 1,
    "patch_size": (1, 1),
    "text_embed_dim": EMBEDDING,
    "rope_axes_dim": (4, 4),
}
OF_TEXT = {"text_embed_2_dim": 8}
OF_DISTILLED = {"guidance_embeds": True, "use_meanflow": True}
OF_REFINER = {"in_channels": 8, "patch_size": (1, 1, 1), "rope_axes_dim": (2, 2, 4), "guidance_embeds": True}
LETTERS = 4  # tokens of the second encoder
TEXT_SIZE = 32 * LATENT  # without a VAE, 32 times the latent
REFINED_SIZE = 16 * LATENT


def guider() -> AdaptiveProjectedMixGuidance:
    """Projects from the third step on."""
    return AdaptiveProjectedMixGuidance(adaptive_projected_guidance_start_step=3)


def build(cls: Any, encoders: int, guider: Any, **shape: Any) -> Any:
    """With none of its `encoders` of words."""
    names = [f"{part}{number}" for part in ("text_encoder", "tokenizer") for number in ("", "_2")[:encoders]]
    return parts.quiet(
        cls(
            scheduler=flow(shift=7.0),
            vae=None,
            transformer=lively(0, lambda: HunyuanImageTransformer2DModel(**SHAPE | shape)),
            guider=guider,
            **dict.fromkeys(names),
        )
    )


def letters() -> dict[str, torch.Tensor]:
    """What stands in for the words that are to be written in the picture."""
    given = {}
    for name, seed in (("prompt", 11), ("negative_prompt", 12)):
        given[f"{name}_embeds_2"] = noise(1, LETTERS, 8, seed=seed)
        given[f"{name}_embeds_mask_2"] = torch.ones(1, LETTERS, dtype=torch.long)
    return given


def guide(pipe: Any, guided: bool) -> None:
    (pipe.guider.enable if guided else pipe.guider.disable)()


def sample(pipe: Any, guided: bool) -> Any:
    guide(pipe, guided)
    words = prompts(mask="embeds_mask") | letters()
    return run(pipe, guided, scale=None, height=TEXT_SIZE, width=TEXT_SIZE, **words)


def sample_distilled(pipe: Any, guided: bool) -> Any:
    """Guidance is a number that the transformer is told."""
    call = {"scale": "distilled_guidance_scale", "height": TEXT_SIZE, "width": TEXT_SIZE}
    return run(pipe, guided, **call, **prompts(mask="embeds_mask") | letters())


def sample_refined(pipe: Any, guided: bool) -> Any:
    """What is refined is given as a latent."""
    guide(pipe, guided)
    call = {"height": REFINED_SIZE, "width": REFINED_SIZE, "image": noise(1, 4, 1, LATENT, LATENT, seed=5)}
    return run(pipe, guided, scale=None, **call, **prompts(mask="embeds_mask"))


CASES = [
    case("HunyuanImagePipeline", "image", lambda cls: build(cls, 2, guider(), **OF_TEXT), sample),
    case(
        "HunyuanImagePipeline (distilled)",
        "image",
        lambda cls: build(cls, 2, None, **OF_TEXT | OF_DISTILLED),
        sample_distilled,
    ),
    case(
        "HunyuanImageRefinerPipeline",
        "image",
        lambda cls: build(cls, 1, guider(), **OF_REFINER),
        sample_refined,
    ),
]
