"""Two clips as the page shows them: in players that go in step, frame by frame, and as a curve."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmcache.tools.comparison.video_comparison import CACHED, FPS, FULL, SHEET, VideoComparison
from mmcache_demos.app.curve import curve
from mmcache_demos.app.markup import address, join, text
from mmcache_demos.app.stills import LARGE

FRAMES = "Frames from left to right: full run, cached run, and their amplified difference."
CURVE = "How close each frame is to the full run's: PSNR, higher is closer"
SIDES = (("full", "Full run", FULL), ("cached", "Cached run", CACHED))


def players_markup(found: VideoComparison | None, files: Mapping[str, Any], prompt: str, width: int) -> str:
    """Both clips as HTML; page.js plays them in step.

    Args:
        found: what was measured; None for a stored clip.
        files: written, by name; of a stored clip the addresses of "full" and "cached".
        prompt: what they show, for who cannot see them.
        width: of each in pixels; small ones are enlarged by whole factors.
    """
    players = join(
        f'<figure><video src="{address(files[file]) if found else files[side]}" muted loop playsinline '
        f'preload="auto" aria-label="{name}: {text(prompt)}"></video><figcaption><b>{name}</b></figcaption>'
        f"</figure>"
        for side, name, file in SIDES
    )
    return (
        f'<div class="mm-players" data-fps="{found.fps if found else FPS:g}">'
        f'<div class="mm-pair{" pixels" if width < LARGE else ""}" style="--w:{width}px">{players}</div>'
        f'<div class="mm-bar"><button type="button" class="mm-play">Play both</button>'
        f'<input type="range" min="0" max="1000" value="0" step="1" aria-label="Place in both clips">'
        f"</div></div>"
    )


def clip_details(found: VideoComparison, files: Mapping[str, Path]) -> str:
    """The frames of both, and how close each pair is."""
    return (
        f'<figure class="mm-sheet"><img src="{address(files[SHEET])}" alt="{FRAMES}" loading="lazy">'
        f"<figcaption>{FRAMES}</figcaption></figure>"
        f"<figure><figcaption>{CURVE}</figcaption>{curve(found.frames)}</figure>"
    )
