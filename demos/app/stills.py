"""Two pictures as the page shows them: beside each other with their difference, and to wipe between."""

from collections.abc import Mapping
from pathlib import Path

from mmcache.tools.comparison.comparison import CACHED, FULL, Comparison
from mmcache.tools.media.side_by_side import enlarged, png
from mmcache_demos.app.markup import address, join, text

DIFFERENCE, GIVEN = "difference.png", "input.png"
LARGE = 256  # pixels: smaller pictures are shown pixel for pixel, not smoothed
HOW = "Drag across the picture, or use the arrow keys: left of the line full, right of it cached."
WIPE = "Wipe: how much of the full picture lies over the cached one, in percent"


def further_files(found: Comparison) -> dict[str, bytes]:
    """What is shown besides the files that every comparison has."""
    *_, difference = found.panels()
    files = {DIFFERENCE: png(difference.images[0])}
    if found.inputs:
        files[GIVEN] = png(enlarged(found.inputs[0].images[0]))
    return files


def stills_markup(found: Comparison, files: Mapping[str, Path], prompt: str) -> str:
    """The pictures as HTML.

    Args:
        found: what was measured; of several pictures all are shown, one below the other.
        files: written, by name.
        prompt: what they show, for who cannot see them.
    """
    count, height, width, _ = found.full.images.shape
    pixels = " pixels" if max(width, height) < LARGE else ""
    names = (("full", FULL), ("cached", CACHED), ("difference", DIFFERENCE))
    panels = list(zip(names, found.panels(), strict=True))
    if GIVEN in files:
        panels.insert(0, (("given", GIVEN), found.inputs[0]))
    beside = join(
        f'<figure class="mm-panel{pixels}" data-panel="{name}"><img src="{address(files[file])}" '
        f'alt="{text(panel.title)}"><figcaption><b>{text(panel.title)}</b> {text(panel.subtitle)}'
        f"</figcaption></figure>"
        for (name, file), panel in panels
    )
    ratio = f"{width}/{height * count}"
    return f'<div class="mm-panels">{beside}</div>{wipe(files, prompt, ratio, pixels)}'


def wipe(files: Mapping[str, Path], prompt: str, ratio: str, pixels: str) -> str:
    """The full picture over the cached one, as far as a slider says; page.js moves the line."""
    return (
        f'<figure class="mm-wipe{pixels}" style="--ratio:{ratio}"><div class="mm-frame">'
        f'<img src="{address(files[CACHED])}" alt="Cached: {text(prompt)}">'
        f'<img class="mm-over" src="{address(files[FULL])}" alt="Full: {text(prompt)}">'
        f'<span class="mm-tag full">full</span><span class="mm-tag cached">cached</span>'
        f'<span class="mm-line"></span>'
        f'<input type="range" min="0" max="100" value="50" step="1" aria-label="{WIPE}"></div>'
        f"<figcaption>{HOW}</figcaption></figure>"
    )
