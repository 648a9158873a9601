"""HunyuanVideo 1: two dual and five single blocks, and FramePack, which makes a video section by section."""

from typing import Any

import torch
from diffusers import (
    AutoencoderKLHunyuanVideo,
    HunyuanVideoFramepackTransformer3DModel,
    HunyuanVideoTransformer3DModel,
)
from transformers import SiglipVisionConfig, SiglipVisionModel

from tests.zoo.parts import EMBEDDING, PICTURE, POOLED, pil_picture, quiet, seeded
from tests.zoo.processors import by_pillow
from tests.zoo.random_weights import lively
from tests.zoo.transformers.clips import CHANNELS, SIDE, case, run
from tests.zoo.transformers.parts import flow, prompts

SHAPE = {
    "in_channels": CHANNELS,
    "out_channels": CHANNELS,
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "num_layers": 2,
    "num_single_layers": 5,
    "num_refiner_layers": 1,
    "text_embed_dim": EMBEDDING,
    "pooled_projection_dim": POOLED,
    "rope_axes_dim": (4, 4, 4),
}
PACKED = {"has_image_proj": True, "image_proj_dim": EMBEDDING, "has_clean_x_embedder": True}
WINDOW = 2  # frames of the latent in a section of FramePack


def vae() -> AutoencoderKLHunyuanVideo:
    """Videos (3, 4f + 1, 8h, 8w) to latents (4, f + 1, h, w)."""
    shape = {"block_out_channels": (4, 4, 4, 4), "layers_per_block": 1, "norm_num_groups": 2}
    return seeded(1, lambda: AutoencoderKLHunyuanVideo(**shape, latent_channels=CHANNELS))


def siglip() -> dict[str, Any]:
    """Pictures to embeddings (n, 4, EMBEDDING)."""
    config = SiglipVisionConfig(
        hidden_size=EMBEDDING,
        intermediate_size=EMBEDDING,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=PICTURE,
        patch_size=PICTURE // 2,
    )
    return {
        "image_encoder": seeded(3, lambda: SiglipVisionModel(config)),
        "feature_extractor": by_pillow("SiglipImageProcessor", size={"height": PICTURE, "width": PICTURE}),
    }


def build(
    cls: Any, shape: dict[str, Any] | None = None, model: Any = HunyuanVideoTransformer3DModel, **more: Any
) -> Any:
    without_words = dict.fromkeys(("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2"))
    denoiser = lively(0, lambda: model(**SHAPE | (shape or {})))
    return quiet(cls(transformer=denoiser, vae=vae(), scheduler=flow(), **without_words, **more))


def not_told_guidance(cls: Any) -> Any:
    return build(cls, {"guidance_embeds": False})


def beside_picture(cls: Any) -> Any:
    """The picture's latent and a mask stand beside each frame's."""
    shape = {"in_channels": 2 * CHANNELS + 1, "image_condition_type": "latent_concat"}
    return build(cls, shape | {"guidance_embeds": False}, image_processor=None)


def picture_for_frame(cls: Any) -> Any:
    """The picture's latent is the first frame's."""
    return build(cls, {"image_condition_type": "token_replace"}, image_processor=None)


def skyreels(cls: Any) -> Any:
    return build(cls, {"in_channels": 2 * CHANNELS})


def framepack(cls: Any) -> Any:
    """It leaves out the words that are masked, so what it computes depends on the mask's values."""
    return build(cls, PACKED, HunyuanVideoFramepackTransformer3DModel, **siglip())


def given() -> dict[str, Any]:
    return prompts(pooled=POOLED, mask="attention_mask")


def given_picture() -> dict[str, Any]:
    return given() | {"image": pil_picture(SIDE)}


def sample(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    """Guidance is a number that the transformer is told."""
    return run(pipe, guided, **changes)


def sample_twice_a_step(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    """Guidance is a second call, with the negative prompt."""
    scales = {"guidance_scale": 1.0, "true_cfg_scale": 5.0 if guided else 1.0}
    return run(pipe, guided, **scales | changes)


def sample_sections(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    """Latents of both sections and of the picture."""
    return sample_twice_a_step(pipe, guided, latent_window_size=WINDOW, **changes)[-1]


CASES = [
    case("HunyuanVideoPipeline", build, given, sample_twice_a_step),
    case("HunyuanVideoPipeline (guidance embedded)", build, given),
    case("HunyuanVideoPipeline (guidance unknown)", not_told_guidance, given, sample_twice_a_step),
    case("HunyuanVideoImageToVideoPipeline", beside_picture, given_picture, sample_twice_a_step),
    case(
        "HunyuanVideoImageToVideoPipeline (first frame)",
        picture_for_frame,
        given_picture,
        sample_twice_a_step,
    ),
    case("HunyuanSkyreelsImageToVideoPipeline", skyreels, given_picture, sample_twice_a_step),
    case("HunyuanVideoFramepackPipeline", framepack, given_picture, sample_sections),
    case(
        "HunyuanVideoFramepackPipeline (forward)",
        framepack,
        lambda: given_picture() | {"sampling_type": "vanilla"},
        sample_sections,
    ),
]
