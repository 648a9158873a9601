"""Trains on several CPU cores with one single-threaded process for each core.

Models this small spend their time in many short operations. Threads wait for each other after every
one of them, processes only once per step: on two cores that was measured to be nearly twice as fast,
and it does not collapse when another program takes a part of one core.
"""

import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import distributed, multiprocessing, nn


def run(work: Callable[..., None], count: int, *arguments: object) -> None:
    """Calls `work(*arguments)` in `count` processes at once, which `average_gradients` joins."""
    if count == 1:
        work(*arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        meeting = Path(folder, "meeting").as_uri()
        multiprocessing.spawn(_start, (work, count, meeting, arguments), nprocs=count)


def _start(rank: int, work: Callable[..., None], count: int, meeting: str, arguments: tuple) -> None:
    # torch tells workers by SIGINT that their parent is gone; programs started in the background ignore it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // count))
    distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=count)
    work(*arguments)
    distributed.destroy_process_group()


def count() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """The number of this process; 0 is the one that writes files."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def average_gradients(model: nn.Module) -> None:
    """Makes the gradients of all processes the mean over them."""
    if count() == 1:
        return
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(flat)
    flat /= count()
    parts = flat.split([gradient.numel() for gradient in gradients])
    torch._foreach_copy_(gradients, [part.view_as(g) for part, g in zip(parts, gradients, strict=True)])


def gather(part: torch.Tensor) -> list[torch.Tensor]:
    """What every process gives, in the order of their ranks."""
    if count() == 1:
        return [part]
    parts: list[torch.Tensor] = [part] * count()
    distributed.all_gather_object(parts, part)
    return parts
