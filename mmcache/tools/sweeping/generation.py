"""One configuration of a sweep is run: images, seconds, cost and latents of all batches together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mmcache.tools.quality.latent_error import ARGUMENT, LatentRecorder
from mmcache.tools.running.call_settings import has_argument
from mmcache.tools.running.requests import ImageRequest, batches
from mmcache.tools.running.runner import Runner, joined
from mmcache.tools.sweeping.configurations import Cost


@dataclass(frozen=True, eq=False)
class Generation:
    """The output of one configuration.

    Attributes:
        images: (N, H, W, C) in [0, 1]; videos are (N, F, H, W, C).
        latents: at the end of each step, (S, N, ...); None where the pipeline has no callback for them.
        seconds: wall time of all calls of the pipeline.
        cost: of all of them.
    """

    images: np.ndarray
    latents: np.ndarray | None
    seconds: float
    cost: Cost


def generate(
    runner: Runner,
    requests: Sequence[ImageRequest],
    steps: int,
    batch: int,
    cost: Callable[[], Cost],
) -> Generation:
    """Generate all images.

    Args:
        runner: of the pipeline.
        requests: the images.
        steps: `num_inference_steps`.
        batch: images in one call.
        cost: gives the cost of the last call.
    """
    samplings, latents, costs = [], [], []
    with_latents = passes_latents(runner)
    for part in batches(runner.pipe, requests, batch):
        recorder = LatentRecorder()
        callback = recorder.settings if with_latents else {}
        samplings.append(runner.run_batch(part, **callback, num_inference_steps=steps))
        costs.append(cost())
        latents.append(np.stack(recorder.steps) if recorder.steps else None)
    total = costs[0]
    for other in costs[1:]:
        total = total.and_then(other)
    complete = [stack for stack in latents if stack is not None]
    sampling = joined(samplings)
    return Generation(
        sampling.images,
        np.concatenate(complete, axis=1) if len(complete) == len(latents) else None,
        sampling.seconds,
        total,
    )


def passes_latents(runner: Runner) -> bool:
    """Whether the pipeline passes its latents to a callback at the end of each step."""
    inputs = getattr(runner.pipe, "_callback_tensor_inputs", ())
    return has_argument(runner.pipe, ARGUMENT) and "latents" in inputs
