"""Sana for video: one list of blocks with linear attention, and a convolution over time in each."""

from typing import Any

from diffusers import DPMSolverMultistepScheduler, SanaVideoTransformer3DModel

from tests.zoo.parts import EMBEDDING, quiet
from tests.zoo.random_weights import lively
from tests.zoo.transformers.clips import (
    CHANNELS,
    FRAMES,
    case,
    picture_and_prompts,
    run_on_video,
    wan_vae,
)
from tests.zoo.transformers.parts import flow, prompts

SHAPE = {
    "in_channels": CHANNELS,
    "out_channels": CHANNELS,
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "num_layers": 5,
    "num_cross_attention_heads": 2,
    "cross_attention_head_dim": 12,
    "cross_attention_dim": 24,
    "caption_channels": EMBEDDING,
    "rope_max_seq_len": 32,
}


def build(cls: Any, scheduler: Any = flow) -> Any:
    model = lively(0, lambda: SanaVideoTransformer3DModel(**SHAPE))
    none = {"tokenizer": None, "text_encoder": None}
    return quiet(cls(transformer=model, vae=wan_vae(), scheduler=scheduler(), **none))


def dpm(cls: Any) -> Any:
    of_flow = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}
    return build(cls, lambda: DPMSolverMultistepScheduler(**of_flow))


def text() -> dict[str, Any]:
    size = {"frames": FRAMES, "use_resolution_binning": False, "negative_prompt": None}
    return prompts(mask="attention_mask") | size


CASES = [
    case("SanaVideoPipeline", dpm, text, run_on_video),
    case("SanaImageToVideoPipeline", build, lambda: picture_and_prompts() | text(), run_on_video),
]
