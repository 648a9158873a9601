"""Pictures side by side, labelled and large enough for a person to see the difference."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

PANEL = 320  # pixels: smaller pictures are enlarged to at least this side
MARGIN = 16
TITLE, SUBTITLE = 20, 15  # font sizes
HEADER = TITLE + SUBTITLE + 16
PAPER, INK, FAINT = "#ffffff", "#16181d", "#5c6370"
SCALES = (1, 2, 5, 10, 20, 50, 100)  # by how much a difference is amplified


class Panel(NamedTuple):
    """A column of pictures under a title and a fainter second line."""

    title: str
    subtitle: str
    pictures: Sequence[Image.Image]


def as_images(pictures: np.ndarray) -> list[Image.Image]:
    """(N, H, W, C) in [0, 1] to RGB pictures of 8 bits; one channel becomes gray."""
    rgb = pictures if pictures.shape[-1] == 3 else pictures[..., :1].repeat(3, axis=-1)
    return [Image.fromarray(picture) for picture in np.rint(rgb.clip(0, 1) * 255).astype(np.uint8)]


def amplified_difference(pictures: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, int]:
    """The absolute difference, and by how much it was multiplied so that a person can see it.

    The scale is the largest round one that leaves at least 99.5 % of the values within [0, 1].
    """
    difference = np.abs(pictures - reference)
    most = float(np.quantile(difference, 0.995))
    scale = max((scale for scale in SCALES if scale * most <= 1), default=1)
    return (difference * scale).clip(0, 1), scale


def enlarged(picture: Image.Image) -> Image.Image:
    """Small pictures by an integer factor, pixel for pixel; large ones as they are."""
    factor = max(1, -(-PANEL // min(picture.size)))
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def side_by_side(panels: Sequence[Panel]) -> Image.Image:
    """One picture with a column per panel."""
    columns = [[enlarged(picture) for picture in panel.pictures] for panel in panels]
    width, height = columns[0][0].size
    rows = len(columns[0])
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
        for row, picture in enumerate(column):
            sheet.paste(picture, (left, HEADER + MARGIN + row * (height + MARGIN)))
    return sheet


def font_that_fits(text: str, size: int, width: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Pillow's own font, smaller where the text would run into the next panel."""
    while size > 8 and ImageFont.load_default(size).getlength(text) > width:
        size -= 1
    return ImageFont.load_default(size)
