"""Images side by side, labelled and large enough for a person to see the difference."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

PANEL = 320  # pixels: smaller images are enlarged to at least this side
STRIP = 128  # pixels: the same for the frames of a video on a strip
MARGIN, GAP = 16, 4
TITLE, SUBTITLE = 20, 15  # font sizes
HEADER = TITLE + SUBTITLE + 16
PAPER, INK, FAINT = "#ffffff", "#16181d", "#5c6370"
DRAWN_ANEW = "#d6336c"  # a colour that portraits and edges do not have
COVER = 0.6  # of the colour; the rest shows what was there
SOURCES = ("image", "control_image")  # arguments that take an image
SCALES = (1, 2, 5, 10, 20, 50, 100)  # by how much a difference is amplified


class Panel(NamedTuple):
    """A column of images under a title and a fainter second line."""

    title: str
    subtitle: str
    images: Sequence[Image.Image]


def eight_bits(images: np.ndarray) -> np.ndarray:
    """(..., C) in [0, 1] to (..., 3), uint8; one channel becomes gray."""
    rgb = images if images.shape[-1] == 3 else images[..., :1].repeat(3, axis=-1)
    return np.rint(rgb.clip(0, 1) * 255).astype(np.uint8)


def as_images(images: np.ndarray) -> list[Image.Image]:
    """(N, H, W, C) in [0, 1] to RGB images of 8 bits."""
    return [Image.fromarray(image) for image in eight_bits(images)]


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def amplified_difference(images: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, int]:
    """The absolute difference, and by how much it was multiplied so that a person can see it.

    The scale is the largest round one that leaves at least 99.5 % of the values within [0, 1].
    """
    difference = np.abs(images - reference)
    most = float(np.quantile(difference, 0.995))
    scale = max((scale for scale in SCALES if scale * most <= 1), default=1)
    return (difference * scale).clip(0, 1), scale


def enlargement(width: int, height: int, panel: int = PANEL) -> int:
    """By which whole factor images of this size are enlarged for the eye."""
    return max(1, -(-panel // min(width, height)))


def enlarged(image: Image.Image, panel: int = PANEL) -> Image.Image:
    """Small images by a whole factor, pixel for pixel; large ones as they are."""
    factor = enlargement(*image.size, panel)
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)


def side_by_side(panels: Sequence[Panel]) -> Image.Image:
    """One image with a column per panel."""
    columns = [[enlarged(image) for image in panel.images] for panel in panels]
    width, height = columns[0][0].size
    rows = max(map(len, columns))
    sheet = Image.new(
        "RGB",
        (MARGIN + len(panels) * (width + MARGIN), HEADER + MARGIN + rows * (height + MARGIN)),
        PAPER,
    )
    draw = ImageDraw.Draw(sheet)
    for index, (panel, column) in enumerate(zip(panels, columns, strict=True)):
        left = MARGIN + index * (width + MARGIN)
        draw.text((left, MARGIN), panel.title, INK, font_that_fits(panel.title, TITLE, width))
        below = MARGIN + TITLE + 6
        draw.text((left, below), panel.subtitle, FAINT, font_that_fits(panel.subtitle, SUBTITLE, width))
        for row, image in enumerate(column):
            sheet.paste(image, (left, HEADER + MARGIN + row * (height + MARGIN)))
    return sheet


def film_strips(panels: Sequence[Panel]) -> Image.Image:
    """One image with a row per panel: the frames of a video from left to right."""
    rows = [[enlarged(image, STRIP) for image in panel.images] for panel in panels]
    width, height = rows[0][0].size
    row_height = TITLE + 12 + height + MARGIN
    title, subtitle = ImageFont.load_default(TITLE), ImageFont.load_default(SUBTITLE)
    beside = [title.getlength(panel.title) + MARGIN for panel in panels]  # where the second words begin
    words = [start + subtitle.getlength(panel.subtitle) for start, panel in zip(beside, panels, strict=True)]
    wide = max(len(rows[0]) * (width + GAP) - GAP, *map(math.ceil, words))
    sheet = Image.new("RGB", (MARGIN + wide + MARGIN, len(rows) * row_height + MARGIN), PAPER)
    draw = ImageDraw.Draw(sheet)
    for index, (panel, row) in enumerate(zip(panels, rows, strict=True)):
        top = MARGIN + index * row_height
        draw.text((MARGIN, top), panel.title, INK, title)
        draw.text((MARGIN + beside[index], top + TITLE - SUBTITLE), panel.subtitle, FAINT, subtitle)
        for column, image in enumerate(row):
            sheet.paste(image, (MARGIN + column * (width + GAP), top + TITLE + 12))
    return sheet


def font_that_fits(text: str, size: int, width: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Pillow's own font, smaller where the text would run into the next panel."""
    while size > 8 and ImageFont.load_default(size).getlength(text) > width:
        size -= 1
    return ImageFont.load_default(size)


def input_panels(settings: Mapping[str, Any], output_shape: tuple[int, ...]) -> tuple[Panel, ...]:
    """A panel for the image that a pipeline was given, with its mask if it has one.

    Args:
        settings: the arguments of the pipeline's call; only images of Pillow are shown.
        output_shape: of its output, (N, H, W, C); inputs are shown at this size, as the pipeline
            scales them.
    """
    _, height, width, _ = output_shape
    mask = settings.get("mask_image")
    panels = []
    for name in SOURCES:
        image = settings.get(name)
        if not isinstance(image, Image.Image):
            continue
        image = fitted(image.convert("RGB"), (width, height))
        if isinstance(mask, Image.Image):
            covered = Image.blend(image, Image.new("RGB", image.size, DRAWN_ANEW), COVER)
            image = Image.composite(covered, image, fitted(mask.convert("L"), (width, height)))
            panels.append(Panel("input and mask", "the coloured part is generated anew", [image]))
        else:
            panels.append(Panel("input", "as the pipeline is given it", [image]))
    return tuple(panels)


def fitted(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """At this size; pixel for pixel where it is enlarged, smoothly where it is reduced."""
    smaller = size[0] < image.width
    return image.resize(size, Image.Resampling.LANCZOS if smaller else Image.Resampling.NEAREST)
