"""The comparisons of one visit, the newest first: each opens to what was shown then."""

from collections.abc import Iterable

from mmcache.tools.comparison.comparison import SHEET
from mmcache_demos.app.markup import address, join, text
from mmcache_demos.app.visits import Past

EMPTY = (
    '<p class="mm-empty">Nothing yet. What you compare on the other tabs is kept here until you leave.</p>'
)


def gallery_markup(past: Iterable[Past]) -> str:
    """All of them as HTML; needs no server to open one."""
    return join(map(entry, past)) or EMPTY


def entry(one: Past) -> str:
    return (
        f'<details class="mm-past"><summary><img src="{address(one.files[SHEET])}" alt="" loading="lazy">'
        f"<span>{text(one.title)}</span></summary>{one.page}</details>"
    )
