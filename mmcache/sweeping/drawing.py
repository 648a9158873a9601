"""Drawing many pictures of a sweep's line: prompts and seeds in batches, with time, cost and latents."""

import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch

from mmcache.measuring.compare import pictures_of
from mmcache.measuring.latent_error import ARGUMENT, LatentRecorder
from mmcache.measuring.sampling_settings import takes_prompt
from mmcache.sweeping.lines import Cost


class Wanted(NamedTuple):
    """One picture: what it shows ("" where the pipeline is not told), and the seed of its noise."""

    prompt: str
    seed: int


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


def wanted_pictures(prompts: Sequence[str] | None, seeds: int, first: int) -> list[Wanted]:
    """Each prompt `seeds` times; every picture starts from noise of its own, counted up from `first`."""
    texts = [""] if prompts is None else prompts
    return [
        Wanted(text, first + number)
        for number, text in enumerate(text for text in texts for _ in range(seeds))
    ]


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


def batches(pipe: Any, wanted: Sequence[Wanted], size: int) -> Iterator[Sequence[Wanted]]:
    """Of this size at most; one by one where a pipeline that takes no prompt takes no number either."""
    if not takes_prompt(pipe) and not takes(pipe, "batch_size"):
        size = 1
    for start in range(0, len(wanted), size):
        yield wanted[start : start + size]


def arguments_for(pipe: Any, part: Sequence[Wanted], call: Mapping[str, Any]) -> dict[str, Any]:
    """What the pipeline is called with for one batch. Noise is drawn on the CPU, the same on every device."""
    generators = [torch.Generator().manual_seed(picture.seed) for picture in part]
    if not takes_prompt(pipe):
        several = takes(pipe, "batch_size")
        return {"generator": generators, "batch_size": len(part)} if several else {"generator": generators[0]}
    found: dict[str, Any] = {"prompt": [picture.prompt for picture in part], "generator": generators}
    if isinstance(call.get("negative_prompt"), str):  # pipelines want one for each prompt
        found["negative_prompt"] = [call["negative_prompt"]] * len(part)
    return found


def takes(pipe: Any, argument: str) -> bool:
    return argument in inspect.signature(type(pipe).__call__).parameters


def shows_latents(pipe: Any) -> bool:
    """Whether the pipeline hands its latents to a callback at the end of each step."""
    return takes(pipe, ARGUMENT) and "latents" in getattr(pipe, "_callback_tensor_inputs", ())
