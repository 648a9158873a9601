"""Where a program of the demos computes: the option --device, and a miniature to measure there."""

from typing import Annotated, Any

import torch
import typer

from mmcache_demos import load_miniature

Device = Annotated[str | None, typer.Option(help="Default: the GPU if there is one.")]


def chosen_device(device: str | None) -> str:
    """The device of --device, or the GPU if there is one."""
    return device or ("cuda" if torch.cuda.is_available() else "cpu")


def miniature_to_measure(name: str, device: str | None) -> Any:
    """A shipped miniature on a device, in float32 throughout.

    A GPU's convolutions round to ten bits (TF32) unless they are told not to, and what is measured are
    differences of that size.

    Args:
        name: a key of `SHIPPED`.
        device: of --device.
    """
    torch.backends.cudnn.allow_tf32 = False
    return load_miniature(name).to(chosen_device(device))
