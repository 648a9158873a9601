"""Two clips as the page shows them: in players that go in step, frame by frame, and as a curve."""

from collections.abc import Mapping
from pathlib import Path

from mmcache.tools.comparison.video_comparison import CACHED, FULL, SHEET, VideoComparison
from mmcache_demos.app.curve import curve
from mmcache_demos.app.markup import address, join, text

FRAMES = "Frames from left to right: full, cached, and their amplified difference."
CURVE = "How close each frame is to the full clip's: PSNR, higher is closer"


def clips_markup(found: VideoComparison, files: Mapping[str, Path], prompt: str) -> str:
    """The clips as HTML.

    Args:
        found: what was measured.
        files: written, by name.
        prompt: what they show, for who cannot see them.
    """
    players = join(
        f'<figure><video src="{address(files[file])}" muted loop playsinline preload="auto" '
        f'aria-label="{side}: {text(prompt)}"></video><figcaption><b>{text(title)}</b> {text(below)}'
        f"</figcaption></figure>"
        for (title, below), side, file in zip(found.titles(), ("Full", "Cached"), (FULL, CACHED), strict=True)
    )
    return (
        f'<div class="mm-players" data-fps="{found.fps:g}"><div class="mm-pair">{players}</div>'
        f'<div class="mm-bar"><button type="button" class="mm-play">Play both</button>'
        f'<input type="range" min="0" max="1000" value="0" step="1" aria-label="Place in both clips">'
        f"</div></div>"
        f'<figure class="mm-sheet"><img src="{address(files[SHEET])}" alt="{FRAMES}">'
        f"<figcaption>{FRAMES}</figcaption></figure>"
        f"<figure><figcaption>{CURVE}</figcaption>{curve(found.frames)}</figure>"
    )
