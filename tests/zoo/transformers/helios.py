"""Helios: Wan's blocks on a chunk of the video behind its history; a pyramid goes from small to large."""

from typing import Any

from diffusers import HeliosDMDScheduler, HeliosScheduler, HeliosTransformer3DModel

from tests.zoo.parts import quiet
from tests.zoo.random_weights import lively
from tests.zoo.transformers.clips import (
    case,
    picture_and_prompts,
    scale,
    wan_vae,
)
from tests.zoo.transformers.parts import generator, prompts
from tests.zoo.transformers.wan import SHAPE

LONG = 17  # frames: two chunks of nine
CHUNK = 3  # frames of the latent
SIDE_OF_PYRAMID = 64  # whose small latents are 4x4
SMALL_THEN_LARGE = [3, 3]  # steps of a pyramid
TWO_STAGES = {
    "stages": 2,
    "stage_range": [0, 0.5, 1],
    "gamma": 0.3,  # at 1/3, the default, the noise's covariance is singular, and rounding decides
}
HISTORY = {
    "history_sizes": [4, 2, 1],
    "num_latent_frames_per_chunk": CHUNK,
}  # the oldest in the largest patches


def build(cls: Any, scheduler: Any, **parts: Any) -> Any:
    shape = {name: value for name, value in SHAPE.items() if name != "rope_max_seq_len"}
    model = lively(0, lambda: HeliosTransformer3DModel(**shape, rope_dim=(4, 4, 4)))
    of_all = {"tokenizer": None, "text_encoder": None, "vae": wan_vae(), "transformer": model}
    return quiet(cls(**of_all, scheduler=scheduler, **parts))


def pyramid(cls: Any) -> Any:
    return build(cls, HeliosScheduler(**TWO_STAGES), is_cfg_zero_star=True)


def distilled(cls: Any) -> Any:
    scheduler = HeliosDMDScheduler(**TWO_STAGES, use_dynamic_shifting=True)
    return build(cls, scheduler, is_distilled=True)


def sample_pyramid(pipe: Any, guided: bool, **changes: Any) -> Any:
    """The steps are told for each stage."""
    call = {"height": SIDE_OF_PYRAMID, "width": SIDE_OF_PYRAMID, "output_type": "latent"}
    steps = {"pyramid_num_inference_steps_list": SMALL_THEN_LARGE, "generator": generator()}
    return pipe(**call | steps | scale(guided) | HISTORY | changes).frames


def long() -> dict[str, Any]:
    return {"num_frames": LONG, **HISTORY} | prompts()


CASES = [
    case("HeliosPipeline", lambda cls: build(cls, HeliosScheduler(stages=1)), long),
    case(
        "HeliosPipeline (picture)",
        lambda cls: build(cls, HeliosScheduler(stages=1)),
        lambda: picture_and_prompts() | HISTORY,
    ),
    case("HeliosPyramidPipeline", pyramid, lambda: {"num_frames": LONG} | prompts(), sample_pyramid),
    case(
        "HeliosPyramidPipeline (distilled)", distilled, lambda: {"num_frames": 9} | prompts(), sample_pyramid
    ),
]
