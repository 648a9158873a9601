"""Where a run stands, as the page shows it: a strip that fills for each side, and perhaps a picture."""

from collections.abc import Mapping

from mmcache_demos.app.markup import inline, join, text
from mmcache_demos.app.strip import bar, strip
from mmcache_demos.app.watching import Progress

SIDES = {"full": "Full", "cached": "Cached"}


class Seen:
    """What has been told of one run so far."""

    def __init__(self) -> None:
        self._words = "Waiting for its turn"
        self._sides: dict[str, Progress] = {}

    def hears(self, news: Progress | str) -> None:
        """Take in the newest; some steps before it may never have been told."""
        if isinstance(news, str):
            self._words = news
            return
        for side, before in self._sides.items():
            if side != news.side:  # it is over, since the other side runs
                self._sides[side] = before._replace(steps=[None] * before.total, preview=None)
        self._sides[news.side] = news
        over = news.side == "cached" and len(news.steps) >= news.total
        self._words = "Measuring what was saved" if over else f"{SIDES[news.side]} run"

    def markup(self) -> str:
        """As HTML."""
        return progress_markup(
            self._words, self._sides, "cached" in self._sides and "full" not in self._sides
        )


def progress_markup(words: str, sides: Mapping[str, Progress], full_was_kept: bool = False) -> str:
    """Both sides of a run that goes on.

    Args:
        words: what is being done.
        sides: the last that was told of each side.
        full_was_kept: the full side needs no run.
    """
    rows = join(
        row(side, sides.get(side), "kept from before" if side == "full" and full_was_kept else "")
        for side in SIDES
    )
    return f'<div class="mm-progress"><p role="status">{text(words)}</p>{rows}</div>'


def row(side: str, seen: Progress | None, instead: str) -> str:
    """One side: its name, its strip, how far it is."""
    done, total = (len(seen.steps), seen.total) if seen else (0, 1)
    bars = [bar(branch) for branch in seen.steps] if seen else []
    far = instead or (f"step {done} of {total}" if seen else "waits")
    picture = ""
    if seen and seen.preview:
        picture = f'<img src="{inline(seen.preview)}" alt="{SIDES[side]} picture so far">'
    return (
        f'<div class="mm-side {side}" role="progressbar" aria-label="{SIDES[side]} run" aria-valuemin="0" '
        f'aria-valuemax="{total}" aria-valuenow="{done}" aria-valuetext="{text(far)}">'
        f"<b>{SIDES[side]}</b>{strip(bars, total)}<span>{text(far)}</span>{picture}</div>"
    )
