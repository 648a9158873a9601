"""What a bug report needs to say of a machine: versions, devices, which extras are missing. No paths."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, entry_points, version

import psutil
import torch

from mmcache.architectures import ENTRY_POINT_GROUP

PACKAGES = (
    *("mmcache", "mmcache-demos", "torch", "diffusers", "transformers", "accelerate", "safetensors"),
    *("huggingface_hub", "numpy", "pydantic", "typer"),
)
EXTRAS: Mapping[str, tuple[str, ...]] = {
    "metrics": ("torchmetrics",),
    "video": ("imageio", "decord2", "ffmpeg-quality-metrics"),
    "plot": ("matplotlib",),
    "ray": ("ray",),
    "demo": ("gradio",),
}
ABSENT = "not installed"
GIB = 2**30


def machine() -> dict[str, str]:
    """Each thing to know, in words."""
    others = sorted(one.name for one in entry_points(group=ENTRY_POINT_GROUP))
    return {
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        **{name: installed(name) for name in PACKAGES},
        **{f"extra {extra}": extra_words(names) for extra, names in EXTRAS.items()},
        "processors": f"{os.cpu_count()}, {torch.get_num_threads()} threads of torch",
        "memory": f"{psutil.virtual_memory().total / GIB:.1f} GiB",
        "devices": ", ".join(devices()),
        "adapters of other packages": ", ".join(others) or "none",
    }


def installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ABSENT


def extra_words(names: tuple[str, ...]) -> str:
    """Its packages with their versions."""
    return ", ".join(f"{name} {installed(name)}" for name in names)


def devices() -> list[str]:
    """Those that torch can use."""
    found = ["cpu"]
    if torch.cuda.is_available():
        found += [
            f"cuda:{number} {torch.cuda.get_device_name(number)} (CUDA {torch.version.cuda})"
            for number in range(torch.cuda.device_count())
        ]
    if torch.backends.mps.is_available():
        found.append("mps")
    return found
