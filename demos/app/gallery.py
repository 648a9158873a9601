"""The comparisons of one visit, the newest first: image, speed, closeness; each opens to what was shown."""

from collections.abc import Iterable

from mmcache.tools.comparison.comparison import CACHED, SHEET
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
    shown = one.files.get(CACHED) or one.files[SHEET]
    return (
        f'<details class="mm-past"><summary><img src="{address(shown)}" alt="" loading="lazy">'
        f"<span><b>{text(one.says)}</b><br>{text(one.title)}</span></summary>{one.page}</details>"
    )
