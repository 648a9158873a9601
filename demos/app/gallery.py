"""The comparisons of one visit, the newest first: image, speed, closeness; each opens to what was shown."""

from collections.abc import Iterable

from mmcache.tools.comparison import comparison as still
from mmcache.tools.comparison import video_comparison as clip
from mmcache_demos.app.markup import address, join, text
from mmcache_demos.app.visits import Past

EMPTY = (
    '<p class="mm-empty">Nothing yet. What you compare on the other tabs stays here while this tab of your '
    "browser is open, also when you reload the page.</p>"
)


def gallery_markup(past: Iterable[Past]) -> str:
    """All of them as HTML; needs no server to open one."""
    return join(map(entry, past)) or EMPTY


def entry(one: Past) -> str:
    return (
        f'<details class="mm-past"><summary>{thumbnail(one)}'
        f"<span><b>{text(one.says)}</b><br>{text(one.title)}</span></summary>{one.page}</details>"
    )


def thumbnail(one: Past) -> str:
    """The cached run's image, or the beginning of its video; of several images the sheet."""
    if clip.CACHED in one.files:
        return f'<video src="{address(one.files[clip.CACHED])}" muted playsinline preload="metadata"></video>'
    shown = one.files.get(still.CACHED) or one.files[still.SHEET]
    return f'<img src="{address(shown)}" alt="" loading="lazy">'
