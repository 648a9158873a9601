"""The pictures that a pipeline is given, as a person sees them beside what it draws."""

from collections.abc import Mapping
from typing import Any

from PIL import Image

from mmcache.tools.media.side_by_side import Panel

DRAWN_ANEW = "#d6336c"  # a colour that portraits and edges do not have
COVER = 0.6  # of the colour; the rest shows what was there
SOURCES = ("image", "control_image")  # arguments that take a picture


def input_panels(settings: Mapping[str, Any], drawn: tuple[int, ...]) -> tuple[Panel, ...]:
    """A panel for the picture that a pipeline was given, with its mask if it has one.

    Args:
        settings: the arguments of the pipeline's call; only pictures of Pillow are shown.
        drawn: shape of what it has drawn, (N, H, W, C); inputs are shown at this size, as the pipeline
            scales them.
    """
    _, height, width, _ = drawn
    mask = settings.get("mask_image")
    panels = []
    for name in SOURCES:
        picture = settings.get(name)
        if not isinstance(picture, Image.Image):
            continue
        picture = fitted(picture.convert("RGB"), (width, height))
        if isinstance(mask, Image.Image):
            covered = Image.blend(picture, Image.new("RGB", picture.size, DRAWN_ANEW), COVER)
            picture = Image.composite(covered, picture, fitted(mask.convert("L"), (width, height)))
            panels.append(Panel("input and mask", "the coloured part is drawn anew", [picture]))
        else:
            panels.append(Panel("input", "as the pipeline is given it", [picture]))
    return tuple(panels)


def fitted(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """At this size; pixel for pixel where it is enlarged, smoothly where it is reduced."""
    smaller = size[0] < picture.width
    return picture.resize(size, Image.Resampling.LANCZOS if smaller else Image.Resampling.NEAREST)
