"""The most memory that was in use at any time of a run."""

import re
from collections.abc import Callable
from pathlib import Path

import torch

OF_PROCESS = Path("/proc/self")  # Linux only
FORGET_PEAK = "5"  # proc(5), clear_refs: from now on count the highest resident set size anew


def watch_memory(device: torch.device) -> Callable[[], int | None]:
    """Begin to watch; returns what tells the most bytes in use since then.

    Of a CUDA device it is what torch has allocated there. Of a CPU, on Linux, it is the resident memory of
    the whole process, weights and libraries included. Elsewhere it is not known: None.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return lambda: torch.cuda.max_memory_allocated(device)
    if device.type != "cpu":
        return lambda: None
    try:
        (OF_PROCESS / "clear_refs").write_text(FORGET_PEAK)
    except OSError:  # another system, or a container that does not allow it
        return lambda: None
    return resident_peak


def resident_peak() -> int | None:
    """In bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", (OF_PROCESS / "status").read_text())
    return int(found[1]) * 1024 if found else None
