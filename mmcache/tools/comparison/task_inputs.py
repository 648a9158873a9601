"""The inputs of a task, from files to arguments of the pipeline's call."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from mmcache.tools.media.image_files import PictureFileError, read_mask, read_picture

LONGEST = 4  # times the shorter side
ARGUMENTS = {"image": "image", "mask": "mask_image", "frames": "num_frames"}  # by option


def task_arguments(given: Mapping[str, Any]) -> dict[str, Any]:
    """What the pipeline is called with for a task, besides what every task has.

    Args:
        given: the options by name, files not yet read; None where one was left out.

    Raises:
        PictureFileError: a file is missing or no picture, or picture and mask do not match.
    """
    found = {name: value for name, value in given.items() if name in ARGUMENTS and value is not None}
    call = {ARGUMENTS[name]: value for name, value in found.items()}
    if "image" in call:
        call["image"] = read_picture(call["image"])
        check_shape(found["image"], call["image"])
    if "mask_image" in call:
        call["mask_image"] = read_mask(call["mask_image"], call["image"].size)
    return call


def check_shape(file: Path, picture: Image.Image) -> None:
    """Refuse what no pipeline draws well.

    Raises:
        PictureFileError: it is more than four times as long as it is narrow.
    """
    if max(picture.size) > LONGEST * min(picture.size):
        raise PictureFileError(
            f"{file}: is {picture.width}x{picture.height}; at most {LONGEST} times as long as narrow "
            f"is drawn, so cut a part of it out"
        )


def size_like(pipe: Any, picture: Image.Image) -> dict[str, int]:
    """Height and width in the proportions of a picture, of about as many pixels as the pipeline is made for.

    Pipelines would otherwise squeeze the picture into their own proportions, or take a photograph of 50
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
    scale = math.sqrt(own_height * own_width / (picture.height * picture.width))  # in units per pixel
    return {
        name: max(1, round(side * scale)) * unit
        for name, side in (("height", picture.height), ("width", picture.width))
    }
