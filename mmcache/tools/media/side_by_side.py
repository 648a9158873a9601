"""Pictures side by side, labelled and large enough for a person to see the difference."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

PANEL = 320  # pixels: smaller pictures are enlarged to at least this side
STRIP = 128  # pixels: the same for the frames of a clip on a strip
MARGIN, GAP = 16, 4
TITLE, SUBTITLE = 20, 15  # font sizes
HEADER = TITLE + SUBTITLE + 16
PAPER, INK, FAINT = "#ffffff", "#16181d", "#5c6370"
SCALES = (1, 2, 5, 10, 20, 50, 100)  # by how much a difference is amplified


class Panel(NamedTuple):
    """A column of pictures under a title and a fainter second line."""

    title: str
    subtitle: str
    pictures: Sequence[Image.Image]


def eight_bits(pictures: np.ndarray) -> np.ndarray:
    """(..., C) in [0, 1] to (..., 3), uint8; one channel becomes gray."""
    rgb = pictures if pictures.shape[-1] == 3 else pictures[..., :1].repeat(3, axis=-1)
    return np.rint(rgb.clip(0, 1) * 255).astype(np.uint8)


def as_images(pictures: np.ndarray) -> list[Image.Image]:
    """(N, H, W, C) in [0, 1] to RGB pictures of 8 bits."""
    return [Image.fromarray(picture) for picture in eight_bits(pictures)]


def amplified_difference(pictures: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, int]:
    """The absolute difference, and by how much it was multiplied so that a person can see it.

    The scale is the largest round one that leaves at least 99.5 % of the values within [0, 1].
    """
    difference = np.abs(pictures - reference)
    most = float(np.quantile(difference, 0.995))
    scale = max((scale for scale in SCALES if scale * most <= 1), default=1)
    return (difference * scale).clip(0, 1), scale


def enlargement(width: int, height: int, panel: int = PANEL) -> int:
    """By which whole factor pictures of this size are enlarged for the eye."""
    return max(1, -(-panel // min(width, height)))


def enlarged(picture: Image.Image, panel: int = PANEL) -> Image.Image:
    """Small pictures by a whole factor, pixel for pixel; large ones as they are."""
    factor = enlargement(*picture.size, panel)
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def side_by_side(panels: Sequence[Panel]) -> Image.Image:
    """One picture with a column per panel."""
    columns = [[enlarged(picture) for picture in panel.pictures] for panel in panels]
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
        for row, picture in enumerate(column):
            sheet.paste(picture, (left, HEADER + MARGIN + row * (height + MARGIN)))
    return sheet


def film_strips(panels: Sequence[Panel]) -> Image.Image:
    """One picture with a row per panel: the frames of a clip from left to right."""
    rows = [[enlarged(picture, STRIP) for picture in panel.pictures] for panel in panels]
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
        for column, picture in enumerate(row):
            sheet.paste(picture, (MARGIN + column * (width + GAP), top + TITLE + 12))
    return sheet


def font_that_fits(text: str, size: int, width: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Pillow's own font, smaller where the text would run into the next panel."""
    while size > 8 and ImageFont.load_default(size).getlength(text) > width:
        size -= 1
    return ImageFont.load_default(size)
