"""The settings that all configurations of a sweep share, in a form that tells whether it may be resumed."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image

from mmcache.api.resolved_pipeline import models_of
from mmcache.clocks.pipeline_clock import own_schedulers, pipelines_of
from mmcache.tools.quality.figures import Figure
from mmcache.tools.running.provenance import described, environment
from mmcache.tools.running.requests import ImageRequest

SAMPLE = 16  # values of each tensor that are looked at: enough to tell trained weights apart


def common_settings(
    pipe: Any,
    wanted: Sequence[ImageRequest],
    steps: int,
    batch: int,
    call: Mapping[str, Any],
    figures: Sequence[Figure],
) -> dict[str, Any]:
    """The settings that a figure depends on besides the configuration itself."""
    schedulers = [one for part in pipelines_of(pipe) for one in own_schedulers(part)]
    return {
        "pipeline": type(pipe).__name__,
        **described(pipe, call),
        "weights": weights_mark(pipe),
        "schedulers": {type(one).__name__: config_of(one) for one in schedulers},
        "steps": steps,
        "batch": batch,
        "prompts": [image.prompt for image in wanted],
        "seeds": [image.seed for image in wanted],
        "inputs": {name: mark for name, value in call.items() if (mark := content_mark(value))},
        "figures": [figure.name for figure in figures],
        "environment": environment(pipe),
    }


def config_of(scheduler: Any) -> dict[str, Any]:
    """A scheduler's settings, without what diffusers notes for itself."""
    return {name: value for name, value in dict(scheduler.config).items() if not name.startswith("_")}


def weights_mark(pipe: Any) -> str:
    """A few letters that change when a model of the pipeline does, found without reading all weights."""
    found = hashlib.sha256()
    for part, model in sorted(models_of(pipe).items()):
        for name, tensor in model.state_dict().items():
            found.update(f"{part}.{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            if not tensor.is_meta:  # weights that wait elsewhere (sequential CPU offload)
                found.update(tensor.flatten()[:SAMPLE].to("cpu", torch.float32).numpy().tobytes())
    return found.hexdigest()[:16]


def content_mark(value: Any) -> str | None:
    """The same for images and arrays that the pipeline is given; None of anything else."""
    if isinstance(value, Image.Image):
        return hashlib.sha256(value.tobytes()).hexdigest()[:16]
    if isinstance(value, torch.Tensor):
        value = value.detach().to("cpu", torch.float32).numpy()
    return hashlib.sha256(value.tobytes()).hexdigest()[:16] if isinstance(value, np.ndarray) else None
