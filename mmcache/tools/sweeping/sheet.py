"""The contact sheet of a sweep: how the images change as fewer steps are full."""

from collections import Counter
from collections.abc import Callable

import numpy as np
from PIL import Image

from mmcache.tools.media.side_by_side import Panel, as_images, film_strips
from mmcache.tools.sweeping.configurations import Cached, FewerSteps, RepeatedOutput
from mmcache.tools.sweeping.recommendation import recommended
from mmcache.tools.sweeping.result import ConfigurationResult, Sweep
from mmcache.tools.sweeping.table import mean_text

SHOWN = 8  # images in a row
LARGEST = 256  # pixels: larger ones are reduced, for a sheet is looked at whole
VIDEO_DIMENSIONS = 5  # (N, F, H, W, C)


def strip(images: np.ndarray) -> Image.Image:
    """The first images of a configuration in a row; of videos the frame in the middle."""
    if images.ndim == VIDEO_DIMENSIONS:
        images = images[:, images.shape[1] // 2]
    shown = [reduced(image) for image in as_images(images[:SHOWN])]
    width, height = shown[0].size
    row = Image.new("RGB", (width * len(shown), height))
    for index, image in enumerate(shown):
        row.paste(image, (index * width, 0))
    return row


def reduced(image: Image.Image) -> Image.Image:
    image = image.copy()
    image.thumbnail((LARGEST, LARGEST))
    return image


def cut(row: Image.Image, count: int) -> list[Image.Image]:
    """The images of a strip again."""
    width = row.width // count
    return [row.crop((index * width, 0, (index + 1) * width, row.height)) for index in range(count)]


def contact_sheet(sweep: Sweep, strip_of: Callable[[str], Image.Image]) -> Image.Image:
    """Full run, the recommended configuration with its series, control configurations; a row for each.

    Args:
        sweep: what was measured.
        strip_of: the strip of a configuration by its label.
    """
    count = min(SHOWN, len(sweep.settings["seeds"]))
    panels = [
        Panel(result.label, subtitle(sweep, result), cut(strip_of(result.label), count))
        for result in chosen(sweep)
    ]
    return film_strips(panels)


def chosen(sweep: Sweep) -> list[ConfigurationResult]:
    """The configurations that are shown."""
    sizes = Counter(result.series for result in sweep.results if result.kind == Cached.kind)
    found = recommended(sweep)
    best = found.result.series if found is not None and found.result.kind == Cached.kind else None
    series = best or max(sizes, key=lambda name: sizes[name])  # the first of equals
    kinds = (RepeatedOutput.kind, FewerSteps.kind)
    rows = [
        sweep.full,
        *(result for result in sweep.results if result.series == series),
    ]
    return rows + [result for kind in kinds for result in sweep.results if result.kind == kind]


def subtitle(sweep: Sweep, result: ConfigurationResult) -> str:
    """2.51x fewer MACs, PSNR to full 58.2 ± 2.3 dB."""
    if result is sweep.full:
        return f"{sweep.image_words} measured"
    fewer = sweep.fewer_macs(result)
    words = [] if fewer is None else [f"{fewer:.2f}x fewer MACs"]
    first = sweep.shown_figures[0]
    if first.name in result.figures:
        title, _, unit = first.title.partition(", ")
        words.append(f"{title} {mean_text(result.figures[first.name], first.digits)} {unit}".rstrip())
    return ", ".join(words)
