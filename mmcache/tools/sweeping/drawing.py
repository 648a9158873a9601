"""Drawing many pictures of a sweep's line: prompts and seeds in batches, with time, cost and latents."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmcache.tools.comparison.batches import Wanted, arguments_for, batches, takes
from mmcache.tools.comparison.compare import pictures_of
from mmcache.tools.quality.latent_error import ARGUMENT, LatentRecorder
from mmcache.tools.sweeping.lines import Cost


@dataclass(frozen=True, eq=False)
class Drawing:
    """What one line has drawn.

    Attributes:
        pictures: (N, H, W, C) in [0, 1]; of clips (N, F, H, W, C).
        latents: at the end of each step, (S, N, ...); None where the pipeline does not show them.
        seconds: wall time of all calls of the pipeline.
        cost: of all of them.
    """

    pictures: np.ndarray
    latents: np.ndarray | None
    seconds: float
    cost: Cost


def draw(
    pipe: Any,
    wanted: Sequence[Wanted],
    steps: int,
    batch: int,
    call: Mapping[str, Any],
    cost: Callable[[], Cost],
) -> Drawing:
    """Draw every picture.

    Args:
        pipe: a diffusers pipeline.
        wanted: the pictures.
        steps: `num_inference_steps`.
        batch: pictures in one call.
        call: the other arguments of the pipeline.
        cost: tells what the last call cost.
    """
    pictures, latents, seconds, costs = [], [], 0.0, []
    for part in batches(pipe, wanted, batch):
        recorder = LatentRecorder()
        settings = {**call, **arguments_for(pipe, part, call), "num_inference_steps": steps}
        if shows_latents(pipe):
            settings |= recorder.settings
        started = time.perf_counter()
        result = pipe(**settings, output_type="np")
        seconds += time.perf_counter() - started
        costs.append(cost())
        pictures.append(pictures_of(pipe, result))
        if len(pictures[-1]) != len(part):
            raise ValueError(
                f"{type(pipe).__name__} drew {len(pictures[-1])} pictures where {len(part)} were asked for"
            )
        latents.append(np.stack(recorder.steps) if recorder.steps else None)
    together = costs[0]
    for other in costs[1:]:
        together = together.and_then(other)
    kept = [stack for stack in latents if stack is not None]
    return Drawing(
        np.concatenate(pictures),
        np.concatenate(kept, axis=1) if len(kept) == len(latents) else None,
        seconds,
        together,
    )


def shows_latents(pipe: Any) -> bool:
    """Whether the pipeline hands its latents to a callback at the end of each step."""
    return takes(pipe, ARGUMENT) and "latents" in getattr(pipe, "_callback_tensor_inputs", ())
