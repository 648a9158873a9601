"""The contact sheet of a sweep: how the pictures change as fewer steps are full."""

from collections import Counter
from collections.abc import Callable

import numpy as np
from PIL import Image

from mmcache.tools.media.side_by_side import Panel, as_images, film_strips
from mmcache.tools.sweeping.lines import Cached, FewerSteps, RepeatedOutput
from mmcache.tools.sweeping.result import LineResult, Sweep
from mmcache.tools.sweeping.table import mean_text

SHOWN = 8  # pictures in a row
LARGEST = 256  # pixels: larger ones are reduced, for a sheet is looked at whole
CLIP_DIMENSIONS = 5  # (N, F, H, W, C)


def strip(pictures: np.ndarray) -> Image.Image:
    """The first pictures of a line in a row; of clips the frame in the middle."""
    if pictures.ndim == CLIP_DIMENSIONS:
        pictures = pictures[:, pictures.shape[1] // 2]
    shown = [reduced(picture) for picture in as_images(pictures[:SHOWN])]
    width, height = shown[0].size
    row = Image.new("RGB", (width * len(shown), height))
    for index, picture in enumerate(shown):
        row.paste(picture, (index * width, 0))
    return row


def reduced(picture: Image.Image) -> Image.Image:
    picture = picture.copy()
    picture.thumbnail((LARGEST, LARGEST))
    return picture


def cut(row: Image.Image, count: int) -> list[Image.Image]:
    """The pictures of a strip again."""
    width = row.width // count
    return [row.crop((index * width, 0, (index + 1) * width, row.height)) for index in range(count)]


def contact_sheet(sweep: Sweep, strip_of: Callable[[str], Image.Image]) -> Image.Image:
    """Full run, then the series with the most intervals, then the control lines; a row for each.

    Args:
        sweep: what was measured.
        strip_of: the strip of a line by its label.
    """
    count = min(SHOWN, len(sweep.settings["seeds"]))
    panels = [
        Panel(line.label, subtitle(sweep, line), cut(strip_of(line.label), count)) for line in chosen(sweep)
    ]
    return film_strips(panels)


def chosen(sweep: Sweep) -> list[LineResult]:
    """The lines that are shown."""
    sizes = Counter(line.series for line in sweep.lines if line.kind == Cached.kind)
    series = max(sizes, key=lambda name: sizes[name])  # the first of equals
    kinds = (RepeatedOutput.kind, FewerSteps.kind)
    rows = [sweep.full, *(line for line in sweep.lines if line.series == series)]
    return rows + [line for kind in kinds for line in sweep.lines if line.kind == kind]


def subtitle(sweep: Sweep, line: LineResult) -> str:
    """2.51x fewer MACs, PSNR to full, dB: 58.2 ± 2.3."""
    if line is sweep.full:
        return f"{sweep.drawn} measured"
    fewer = sweep.fewer_macs(line)
    words = [] if fewer is None else [f"{fewer:.2f}x fewer MACs"]
    first = sweep.shown_figures[0]
    if first.name in line.figures:
        words.append(f"{first.title}: {mean_text(line.figures[first.name], first.digits)}")
    return ", ".join(words)
