"""Two clips as the page shows them: as one file, so that they go in step, frame by frame, and as a curve."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mmcache.tools.comparison.video_comparison import SHEET, VideoComparison, for_the_eye
from mmcache.tools.media.video_files import video_bytes
from mmcache_demos.app.curve import curve
from mmcache_demos.app.markup import address, text
from mmcache_demos.app.stills import under_a_line

BOTH = "both.mp4"  # the full run's clip on the left, the cached one's on the right, and nothing else
FRAMES = "Frames from left to right: full run, cached run, and their amplified difference."
CURVE = "How close each frame is to the full run's: PSNR, higher is closer"
BAR = (
    '<div class="mm-bar"><button type="button" class="mm-play">Play</button>'
    '<input type="range" min="0" max="1000" value="0" step="1" aria-label="Place in both clips"></div>'
)


def both_clips(found: VideoComparison) -> bytes:
    """Both clips in one video. Two players would each keep their own time."""
    runs = (found.full.images, found.cached.images)  # each (N, F, H, W, C)
    return video_bytes(np.concatenate([for_the_eye(run) for run in runs], axis=2), found.fps)


def size_of_clips(found: VideoComparison) -> tuple[int, int]:
    """Width and height of what is shown of each run; several videos stand one above the other."""
    count, _, height, width, _ = found.full.images.shape
    return width, height * count


def players_markup(both: str, prompt: str, width: int, height: int, once: bool = False) -> str:
    """Both clips under a line to wipe; page.js plays the file and draws each half into its canvas.

    Args:
        both: the address of the file.
        prompt: what they show, for who cannot see them.
        width, height, once: as `under_a_line` has them.
    """
    size = f'width="{width}" height="{height}" role="img"'
    shown = (
        f'<video src="{both}" muted loop playsinline preload="auto" aria-hidden="true"></video>'
        f'<canvas data-half="1" {size} aria-label="Cached run: {text(prompt)}"></canvas>'
        f'<canvas data-half="0" {size} class="mm-over" aria-label="Full run: {text(prompt)}"></canvas>'
    )
    return under_a_line(shown, width, height, once, BAR)


def clip_details(found: VideoComparison, files: Mapping[str, Path]) -> str:
    """The frames of both, and how close each pair is."""
    return (
        f'<figure class="mm-sheet"><img src="{address(files[SHEET])}" alt="{FRAMES}" loading="lazy">'
        f"<figcaption>{FRAMES}</figcaption></figure>"
        f"<figure><figcaption>{CURVE}</figcaption>{curve(found.frames)}</figure>"
    )
