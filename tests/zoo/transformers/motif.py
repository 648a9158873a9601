"""Motif-Video: two dual, four single blocks and two more that begin with the latent once again."""

from typing import Any

import torch
from diffusers import ClassifierFreeGuidance, MotifVideoTransformer3DModel

from tests.zoo.parts import EMBEDDING, generator, quiet
from tests.zoo.random_weights import lively
from tests.zoo.transformers.clips import CHANNELS, FRAMES, SIDE, case, picture_and_prompts, wan_vae
from tests.zoo.transformers.parts import STEPS, flow, prompts

SHAPE = {
    "in_channels": 2 * CHANNELS + 1,  # beside the latent: a picture's and a mask
    "out_channels": CHANNELS,
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "num_layers": 2,
    "num_single_layers": 6,
    "num_decoder_layers": 2,
    "text_embed_dim": EMBEDDING,
    "rope_axes_dim": (4, 4, 4),
    "enable_text_cross_attention_dual": True,
    "enable_text_cross_attention_single": True,
}


def build(cls: Any, **more: Any) -> Any:
    return quiet(
        cls(
            transformer=lively(0, lambda: MotifVideoTransformer3DModel(**SHAPE)),
            vae=wan_vae(),
            scheduler=flow(),
            text_encoder=None,
            tokenizer=None,
            guider=ClassifierFreeGuidance(),
            **more,
        )
    )


def sample(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    pipe.guider.guidance_scale = 5.0 if guided else 1.0
    call = {"num_frames": FRAMES, "num_inference_steps": STEPS, "output_type": "latent"}
    size = {"height": SIDE, "width": SIDE}
    return pipe(**call | size | {"generator": generator()} | changes).frames


def text() -> dict[str, Any]:
    return prompts(mask="attention_mask")


CASES = [
    case("MotifVideoPipeline", build, text, sample),
    case(
        "MotifVideoImage2VideoPipeline",
        lambda cls: build(cls, feature_extractor=None),
        lambda: picture_and_prompts() | text() | {"prompt": None},
        sample,
    ),
]
