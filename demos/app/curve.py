"""How close each frame of a clip is to the full one's: a curve, drawn as SVG in the page's own colours."""

import math
from collections.abc import Sequence

from mmcache.tools.quality.metrics import Likeness
from mmcache_demos.app.markup import join, text

WIDTH, HEIGHT = 480, 140
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 14, 26  # room for the words
STEP = 5  # dB: the axis ends at multiples of it


def curve(frames: Sequence[Likeness]) -> str:
    """PSNR over the frames; frames that are identical have none and leave a gap.

    Returns:
        SVG; a sentence where every frame is identical.
    """
    known = [(index, frame.psnr) for index, frame in enumerate(frames) if math.isfinite(frame.psnr)]
    if not known:
        return "<p>Every frame is identical to the full one, so there is no curve.</p>"
    low = STEP * math.floor(min(psnr for _, psnr in known) / STEP)
    high = max(low + STEP, STEP * math.ceil(max(psnr for _, psnr in known) / STEP))

    def place(index: int, psnr: float) -> tuple[float, float]:
        across = LEFT + (WIDTH - LEFT - RIGHT) * index / max(1, len(frames) - 1)
        return across, TOP + (HEIGHT - TOP - BOTTOM) * (high - psnr) / (high - low)

    points = [place(*one) for one in known]
    lines = join(
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value} dB</text>'
        for value, y in ((low, HEIGHT - BOTTOM), (high, TOP))
    )
    dots = join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5"><title>frame {index + 1}: {psnr:.1f} dB</title></circle>'
        for (x, y), (index, psnr) in zip(points, known, strict=True)
    )
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    worst = min(known, key=lambda one: one[1])
    label = f"PSNR of {len(frames)} frames; the lowest is {worst[1]:.1f} dB in frame {worst[0] + 1}"
    return (
        f'<svg class="mm-curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{text(label)}">{lines}'
        f'<text x="{LEFT}" y="{HEIGHT - 6}">frame 1</text>'
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 6}" text-anchor="end">frame {len(frames)}</text>'
        f'<polyline points="{path}"/>{dots}</svg>'
    )
