"""LTX-Video: one list of blocks; the long one makes a video window by window, each with its own prompt."""

from typing import Any

import torch
from diffusers import (
    AutoencoderKLLTXVideo,
    LTXEulerAncestralRFScheduler,
    LTXVideoTransformer3DModel,
)
from diffusers.pipelines.ltx.pipeline_ltx_condition import LTXVideoCondition

from tests.zoo.parts import EMBEDDING, TOKENS, pil_picture, quiet, seeded
from tests.zoo.random_weights import lively
from tests.zoo.transformers.clips import CHANNELS, SIDE, case, clip, run_on_video
from tests.zoo.transformers.parts import flow, prompts
from tests.zoo.transformers.words import t5_and_tokenizer

FRAMES = 17  # three frames of the latent
SHAPE = {
    "in_channels": CHANNELS,
    "out_channels": CHANNELS,
    "num_attention_heads": 2,
    "attention_head_dim": 8,
    "cross_attention_dim": 16,
    "num_layers": 5,
    "caption_channels": EMBEDDING,
}


def vae() -> AutoencoderKLLTXVideo:
    """Videos (3, 8f + 1, 8h, 8w) to latents (4, f + 1, h, w)."""
    shape = {
        "block_out_channels": (4,) * 4,
        "decoder_block_out_channels": (4,) * 4,
        "layers_per_block": (1,) * 5,
        "decoder_layers_per_block": (1,) * 5,
        "patch_size": 1,
    }
    return seeded(1, lambda: AutoencoderKLLTXVideo(**shape, latent_channels=CHANNELS))


def build(cls: Any, **parts: Any) -> Any:
    of_all = {
        "transformer": lively(0, lambda: LTXVideoTransformer3DModel(**SHAPE)),
        "vae": vae(),
        "scheduler": flow(),
        "tokenizer": None,
        "text_encoder": None,
    }
    return quiet(cls(**of_all | parts))


def long(cls: Any) -> Any:
    return build(cls, scheduler=LTXEulerAncestralRFScheduler(), **t5_and_tokenizer())


def text() -> dict[str, Any]:
    return prompts(mask="attention_mask") | {"num_frames": FRAMES}


def picture() -> dict[str, Any]:
    return text() | {"image": pil_picture(SIDE)}


def conditions() -> dict[str, Any]:
    """A picture for the first frame, and a clip for the last nine, weakly: tokens beside the latents'."""
    first = LTXVideoCondition(image=pil_picture(SIDE), frame_index=0)
    last = LTXVideoCondition(video=clip(9), frame_index=8, strength=0.5)
    return text() | {"conditions": [first, last]}


def two_windows() -> dict[str, Any]:
    return {
        "prompt": "a cat | a dog",
        "negative_prompt": "",
        "cond_image": pil_picture(SIDE),
        "num_frames": 33,
        "temporal_tile_size": 24,
        "temporal_overlap": 8,
        "num_inference_steps": 7,  # of which the last is not run
        "max_sequence_length": TOKENS,
    }


def sample(pipe: Any, guided: bool, **changes: Any) -> torch.Tensor:
    torch.manual_seed(0)  # some of its noise is drawn without the generator
    return run_on_video(pipe, guided, **changes)


CASES = [
    case("LTXPipeline", build, text, sample),
    case("LTXPipeline (rescaled)", build, lambda: text() | {"guidance_rescale": 0.7}, sample),
    case("LTXImageToVideoPipeline", build, picture, sample),
    case("LTXConditionPipeline", build, conditions, sample),
    case("LTXConditionPipeline (text)", build, text, sample),
    case("LTXI2VLongMultiPromptPipeline", long, two_windows, sample, ends=False),
]
