"""Functions that workers make tiny pipelines with: at the top level of a module, so that they can be sent."""

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import torch
from diffusers import (
    StableDiffusionControlNetPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
)

from tests.tiny_prompted import controlled, inpainting, prompted


def load() -> StableDiffusionPipeline:
    return prompted()


def load_inpainting() -> StableDiffusionInpaintPipeline:
    return inpainting()


def load_controlled() -> StableDiffusionControlNetPipeline:
    """A ControlNet begins with zeros, which would hide its image."""
    pipe = controlled()
    torch.manual_seed(5)
    for weights in pipe.controlnet.parameters():
        torch.nn.init.normal_(weights, std=0.2)
    return pipe


def log_to(log: Path, line: str) -> None:
    with log.open("ab", buffering=0) as file:
        file.write((line + "\n").encode())


def load_and_tell(log: Path) -> Any:
    """Tells when it loads, and whether the hub may be asked."""
    log_to(log, f"begin {os.getpid()} {huggingface_hub.constants.HF_HUB_OFFLINE}")
    pipe = prompted()
    log_to(log, f"end {os.getpid()}")
    return pipe


def failing(error: type[Exception], words: str, largest: int, log: Path | None = None) -> Any:
    """A pipeline whose denoiser raises for larger batches than this; guidance doubles a batch."""
    pipe = prompted()

    def look(_: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        images = len(arguments[0]) // 2
        if log is not None:
            log_to(log, f"{images}")
        if images > largest:
            raise error(words)

    pipe.unet.register_forward_pre_hook(look, with_kwargs=True)
    return pipe


def dying(log: Path, at: int) -> Any:
    """A pipeline whose process is killed at this call of its denoiser, once."""
    pipe = prompted()
    calls = []

    def count(*_: Any) -> None:
        calls.append(1)
        if len(calls) == at and not log.exists():
            log_to(log, "died")
            os.kill(os.getpid(), signal.SIGKILL)

    pipe.unet.register_forward_hook(count)
    return pipe


def missing() -> Any:
    raise ValueError("there is no such model")


out_of_memory_above = partial(failing, RuntimeError, "CUDA out of memory. Tried to allocate")
