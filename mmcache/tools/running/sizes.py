"""The size of what a pipeline generates: does it fit into memory, and is it what was asked for?"""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

FLOAT, CHANNELS = 4, 3  # bytes of a number, colours: images come as float32
COPIES = 2  # a full run's images and a cached one's
GIB = 2**30
SIDES = {"num_frames": -4, "height": -3, "width": -2}  # by argument, the axis of (N, F, H, W, C)


def check_memory(pipe: Any, settings: Mapping[str, Any]) -> None:
    """Refuse a call whose images alone do not fit into the memory of this machine.

    The layers in between take more: what passes may still fail, and what is refused would have.

    Raises:
        ValueError: with both sizes.
    """
    import psutil  # comes with accelerate

    height, width = (number(settings.get(side)) or usual_side(pipe) for side in ("height", "width"))
    frames = number(settings.get("num_frames")) or number(default(pipe, "num_frames")) or 1
    needed = COPIES * FLOAT * CHANNELS * frames * height * width
    there = psutil.virtual_memory().total
    if needed > there:
        size = f"{width}x{height} pixels" + (f", {frames} frames" if frames > 1 else "")
        raise ValueError(
            f"{size}: a full and a cached result take {needed / GIB:.1f} GiB, the layers more, and "
            f"this machine has {there / GIB:.1f} GiB: take a smaller size or fewer frames"
        )


def default(pipe: Any, argument: str) -> Any:
    """The default of an argument of the pipeline's call; None if there is none."""
    parameter = inspect.signature(type(pipe).__call__).parameters.get(argument)
    return None if parameter is None else parameter.default


def usual_side(pipe: Any) -> int:
    """Pixels along a side where none are asked for; 1 where the pipeline does not say."""
    config = getattr(getattr(pipe, "unet", None) or getattr(pipe, "transformer", None), "config", None)
    own = getattr(pipe, "default_sample_size", None) or getattr(config, "sample_size", None)
    unit = getattr(pipe, "vae_scale_factor", None)
    return own * unit if isinstance(own, int) and isinstance(unit, int) else 1


def number(value: Any) -> int:
    """A whole number of at least 1; 0 for anything else, which the pipeline itself will refuse."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def changed_sizes(settings: Mapping[str, Any], shape: Sequence[int]) -> str:
    """What a pipeline made of the size that was asked for, where it rounds; "" where it keeps it.

    Args:
        settings: the arguments of the call.
        shape: of its images (N, H, W, C) or videos (N, F, H, W, C).
    """
    changed = [
        f"{name.removeprefix('num_')} {asked}, got {shape[axis]}"
        for name, axis in SIDES.items()
        if (asked := number(settings.get(name))) and len(shape) >= -axis + 1 and shape[axis] != asked
    ]
    return f"the pipeline rounds sizes: asked for {'; '.join(changed)}" if changed else ""
