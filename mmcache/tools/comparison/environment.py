"""What figures depend on besides the settings of a run."""

import os
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
