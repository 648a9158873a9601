"""Editing with the parts of Wan: ChronoEdit and Lucy."""

from typing import Any

from diffusers import ChronoEditTransformer3DModel

from tests.zoo.transformers.clips import (
    CHANNELS,
    case,
    clip_and_prompts,
    picture_and_prompts,
    unipc_flow,
)
from tests.zoo.transformers.wan import build, denoiser, experts, seeing

OF_CLIP = {"in_channels": 2 * CHANNELS}  # the clip's latent stands beside each


def chrono_edit(cls: Any) -> Any:
    return seeing(cls, ChronoEditTransformer3DModel, scheduler=unipc_flow())


def lucy(cls: Any) -> Any:
    return build(cls, transformer=denoiser(**OF_CLIP))


def reasoning() -> dict[str, Any]:
    """After three steps with all frames, three with the first and the last alone."""
    return picture_and_prompts() | {"enable_temporal_reasoning": True, "num_temporal_reasoning_steps": 3}


CASES = [
    case("ChronoEditPipeline", chrono_edit, picture_and_prompts),
    case("ChronoEditPipeline (reasoning)", chrono_edit, reasoning),
    case("LucyEditPipeline", lucy, clip_and_prompts),
    case("LucyEditPipeline (two experts)", lambda cls: experts(cls, **OF_CLIP), clip_and_prompts),
]
