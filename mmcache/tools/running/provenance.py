"""What the figures of a run depend on: its settings and its environment, for reports."""

import inspect
import os
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import diffusers
import torch


def environment(pipe: Any) -> dict[str, Any]:
    """Versions, device, precision and threads."""
    device = pipe._execution_device  # with CPU offload, `pipe.device` is where the weights wait
    return {
        "mmcache": version("mmcache"),
        "diffusers": diffusers.__version__,
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "dtype": str(pipe.dtype).removeprefix("torch."),
        "threads": torch.get_num_threads(),
        "processors": os.cpu_count(),
    }


def described(pipe: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings for the report: plain values as they are, tensors and the like by their type."""
    defaults = inspect.signature(type(pipe).__call__).parameters
    scale = defaults.get("guidance_scale")
    shown = {} if scale is None or scale.default is scale.empty else {"guidance_scale": scale.default}
    for name, value in settings.items():
        texts = isinstance(value, list) and all(isinstance(text, str) for text in value)
        plain = texts or isinstance(value, str | int | float | None)
        shown[name] = value if plain else type(value).__name__
    return {"model": str(pipe.name_or_path or "")} | shown
