"""Warnings that point at the line of the person who called, however deep in a pipeline they arise."""

import sys
import warnings

# Frames of mmcache, and of what lies between it and the line of whoever reads the warning.
BETWEEN = ("mmcache", "torch", "diffusers", "accelerate", "transformers", "contextlib", "functools")


class MmcacheWarning(UserWarning):
    """What mmcache warns with. It points at the line of the caller, so a filter names its class, no module.

    `warnings.filterwarnings("ignore", category=mmcache.MmcacheWarning)` silences mmcache and nothing else.
    What it says of a run stands in `session.report().notes`, too.
    """


def warn(text: str) -> None:
    """Warn with the line that called the pipeline or mmcache, as a `MmcacheWarning`.

    Where every frame is a library's (the call was made by a thread pool, say), with the outermost one.
    """
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and is_between(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, MmcacheWarning, stacklevel=level + 1)


def is_between(module: str) -> bool:
    """Whether a module is of mmcache, or of a library between it and the person's own code."""
    return module.partition(".")[0] in BETWEEN
