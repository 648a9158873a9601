"""Which pipeline is calling: two pipelines may share a denoiser and even a scheduler."""

import sys
from types import FrameType
from typing import Any

from diffusers import DiffusionPipeline

# Frames that lie between a pipeline and its denoiser; their locals need not be looked at.
_BETWEEN = ("torch", "accelerate", "diffusers.hooks", "diffusers.models", "mmcache")


def calling_pipelines() -> list[Any]:
    """The diffusers pipelines on the call stack, the innermost first; none in someone's own loop.

    Attributes that a pipeline sets on itself would also tell, but not all pipelines set them; its frame
    is always there. A walk takes microseconds.
    """
    found: list[Any] = []
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code.co_varnames[:1] == ("self",) and not frame.f_globals.get("__name__", "").startswith(_BETWEEN):
            caller = frame.f_locals.get("self")
            if isinstance(caller, DiffusionPipeline):
                found.append(caller)
        frame = frame.f_back
    return found
