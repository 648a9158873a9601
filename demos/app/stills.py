"""Two images as the page shows them: one over the other under a line to wipe, and beside their difference."""

from collections.abc import Mapping
from pathlib import Path

from mmcache.tools.comparison.comparison import CACHED, FULL, Comparison
from mmcache.tools.media.side_by_side import enlarged, png
from mmcache_demos.app.markup import address, join, text

DIFFERENCE, GIVEN = "difference.png", "input.png"
LARGE = 256  # pixels: smaller images are shown pixel for pixel, not smoothed
HOW = "Drag the line, or use the arrow keys: left of it the full run, right of it the cached one."
WIPE = "Wipe: how much of the full run's image lies over the cached one's, in percent"


def further_files(found: Comparison) -> dict[str, bytes]:
    """What is shown besides the files that every comparison has."""
    *_, difference = found.panels()
    files = {DIFFERENCE: png(difference.images[0])}
    if found.inputs:
        files[GIVEN] = png(enlarged(found.inputs[0].images[0]))
    return files


def size_of(found: Comparison) -> tuple[int, int]:
    """Width and height of what is shown; several images stand below each other."""
    count, height, width, _ = found.full.images.shape
    return width, height * count


def panels_markup(found: Comparison, files: Mapping[str, Path]) -> str:
    """Both images, their difference, and the input image where there is one."""
    pixels = " pixels" if max(size_of(found)) < LARGE else ""
    names = (("full", FULL), ("cached", CACHED), ("difference", DIFFERENCE))
    panels = list(zip(names, found.panels(), strict=True))
    if GIVEN in files:
        panels.insert(0, (("given", GIVEN), found.inputs[0]))
    beside = join(
        f'<figure class="mm-panel{pixels}" data-panel="{name}"><img src="{address(files[file])}" '
        f'alt="{text(panel.title)}" loading="lazy"><figcaption><b>{text(panel.title)}</b> '
        f"{text(panel.subtitle)}</figcaption></figure>"
        for (name, file), panel in panels
    )
    return f'<div class="mm-panels">{beside}</div>'


def wipe(full: str, cached: str, prompt: str, width: int, height: int, once: bool = False) -> str:
    """The full run's image over the cached one's, as far as a slider says.

    Args:
        full, cached: addresses of the images.
        prompt: what they show, for who cannot see them.
        width, height, once: as `under_a_line` has them.
    """
    shown = (
        f'<img src="{cached}" alt="Cached run: {text(prompt)}">'
        f'<img class="mm-over" src="{full}" alt="Full run: {text(prompt)}">'
    )
    return under_a_line(shown, width, height, once)


def under_a_line(shown: str, width: int, height: int, once: bool = False, below: str = "") -> str:
    """Two results under a line to wipe; page.js moves the line.

    Args:
        shown: both, HTML; what belongs to the full run has the class mm-over.
        width, height: of each in pixels; small ones are enlarged by whole factors.
        once: whether the line wipes by itself once.
        below: what stands between them and the words, HTML.
    """
    pixels = " pixels" if max(width, height) < LARGE else ""
    return (
        f'<figure class="mm-wipe{pixels}" style="--ratio:{width}/{height};--w:{width}px">'
        f'<div class="mm-frame{" once" if once else ""}">{shown}'
        f'<span class="mm-tag full">full</span><span class="mm-tag cached">cached</span>'
        f'<span class="mm-line"></span>'
        f'<input type="range" min="0" max="100" value="50" step="1" aria-label="{WIPE}"></div>{below}'
        f"<figcaption>{HOW}</figcaption></figure>"
    )
