"""SkyReels V2: Wan's blocks; diffusion forcing has a timestep for each frame."""

from functools import partial
from typing import Any

from diffusers import SkyReelsV2Transformer3DModel

from tests.zoo.transformers.clips import (
    FRAMES,
    case,
    clip_and_prompts,
    picture_and_prompts,
    unipc_flow,
)
from tests.zoo.transformers.parts import prompts
from tests.zoo.transformers.wan import build, denoiser, seeing

LONG = 17  # frames, five of the latent, made three at a time


def text_to_video(cls: Any, **shape: Any) -> Any:
    model = denoiser(SkyReelsV2Transformer3DModel, **shape)
    return build(cls, transformer=model, scheduler=unipc_flow())


def told_fps(cls: Any) -> Any:
    return text_to_video(cls, inject_sample_info=True)


def image_to_video(cls: Any) -> Any:
    return seeing(cls, SkyReelsV2Transformer3DModel, scheduler=unipc_flow())


def forced() -> dict[str, Any]:
    """All frames at the same timestep."""
    return {"prompt": None} | prompts()


def one_after_the_other() -> dict[str, Any]:
    """A frame is two steps behind the one before it: ten calls."""
    return forced() | {"ar_step": 2, "causal_block_size": 1}


def in_two_runs() -> dict[str, Any]:
    """The second run begins with the last frame of the first."""
    return {"num_frames": LONG, "base_num_frames": FRAMES, "overlap_history": 1}


# Each frame has a copy of the scheduler, and those are stepped.
forcing = partial(case, refused="a noise level of its own")

CASES = [
    case("SkyReelsV2Pipeline", text_to_video, prompts),
    case("SkyReelsV2ImageToVideoPipeline", image_to_video, picture_and_prompts),
    forcing("SkyReelsV2DiffusionForcingPipeline", text_to_video, forced),
    forcing("SkyReelsV2DiffusionForcingPipeline (asynchronous)", told_fps, one_after_the_other),
    forcing("SkyReelsV2DiffusionForcingPipeline (long)", text_to_video, lambda: forced() | in_two_runs()),
    forcing("SkyReelsV2DiffusionForcingImageToVideoPipeline", text_to_video, picture_and_prompts),
    forcing(
        "SkyReelsV2DiffusionForcingVideoToVideoPipeline",
        text_to_video,
        lambda: clip_and_prompts() | in_two_runs(),
    ),
]
