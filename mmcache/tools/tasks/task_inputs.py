"""The inputs of a task, from files to arguments of the pipeline's call."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from mmcache.tools.media.image_files import ImageFileError, read_image, read_mask

LONGEST = 4  # times the shorter side
ARGUMENTS = {"image": "image", "mask": "mask_image", "frames": "num_frames"}  # by option


def task_arguments(values: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the pipeline's call that only some tasks have.

    Args:
        values: the options by name, files not yet read; None where one was left out.

    Raises:
        ImageFileError: a file is missing or no image, or image and mask do not match.
    """
    options = {name: value for name, value in values.items() if name in ARGUMENTS and value is not None}
    call = {ARGUMENTS[name]: value for name, value in options.items()}
    if "image" in call:
        call["image"] = read_image(call["image"])
        check_shape(options["image"], call["image"])
    if "mask_image" in call:
        call["mask_image"] = read_mask(call["mask_image"], call["image"].size)
    return call


def check_shape(file: Path, image: Image.Image) -> None:
    """Refuse proportions that no pipeline generates well.

    Raises:
        ImageFileError: it is more than four times as long as it is narrow.
    """
    if max(image.size) > LONGEST * min(image.size):
        raise ImageFileError(
            f"{file}: is {image.width}x{image.height}; at most {LONGEST} times as long as narrow "
            f"is generated, so crop it"
        )


def size_like(pipe: Any, image: Image.Image) -> dict[str, int]:
    """Height and width in the proportions of an image, of about as many pixels as the pipeline is made for.

    Pipelines would otherwise squeeze the image into their own proportions, or take a photograph of 50
    million pixels as it is.

    Returns:
        "height" and "width"; nothing for a pipeline that does not say what it is made for.
    """
    config = getattr(getattr(pipe, "unet", None), "config", None)
    own = getattr(pipe, "default_sample_size", None) or getattr(config, "sample_size", None)
    unit = getattr(pipe, "vae_scale_factor", None)
    if not own or not unit:
        return {}
    own_height, own_width = own if isinstance(own, tuple | list) else (own, own)
    scale = math.sqrt(own_height * own_width / (image.height * image.width))  # in units per pixel
    return {
        name: max(1, round(side * scale)) * unit
        for name, side in (("height", image.height), ("width", image.width))
    }
