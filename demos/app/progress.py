"""Where the runs stand, as the page shows it: both images as they grow, each over a strip that fills."""

from collections.abc import Mapping

from mmcache.plans.preview import bar
from mmcache_demos.app.markup import inline, join, text
from mmcache_demos.app.strip import strip
from mmcache_demos.app.watching import Progress

SIDES = {"full": "Full run", "cached": "Cached run"}
KEPT = "kept from before"


class Seen:
    """What has been told of one order so far."""

    def __init__(self) -> None:
        self._words = "Waiting for its turn"
        self._sides: dict[str, Progress] = {}

    def hears(self, news: Progress | str) -> None:
        """Take in the newest; some steps before it may never have been told."""
        if isinstance(news, str):
            self._words = news
            return
        self._sides[news.side] = news
        self._words = self._said()

    def markup(self) -> str:
        """As HTML."""
        return progress_markup(
            self._words, self._sides, "cached" in self._sides and "full" not in self._sides
        )

    def _said(self) -> str:
        over = {side: len(one.steps) >= one.total for side, one in self._sides.items()}
        full = self._sides.get("full")
        if over.get("cached") and over.get("full", True):
            return "Both are finished: measuring what was saved"
        if over.get("cached") and full is not None:
            share = len(full.steps) / full.total
            return f"The cached run is finished. The full run is at {share:.0%}."
        return "Both images grow from the same noise"


def progress_markup(words: str, sides: Mapping[str, Progress], full_was_kept: bool = False) -> str:
    """Both sides of a run that goes on.

    Args:
        words: what is being done.
        sides: the last that was told of each side.
        full_was_kept: the full side needs no run.
    """
    rows = join(
        row(side, sides.get(side), KEPT if side == "full" and full_was_kept else "") for side in SIDES
    )
    return (
        f'<div class="mm-progress"><p role="status">{text(words)}</p>'
        f'<div class="mm-race-pair">{rows}</div></div>'
    )


def row(side: str, seen: Progress | None, instead: str) -> str:
    """One side: its name, its image so far, its strip, how far it is. The image's place is always there."""
    done, total = (len(seen.steps), seen.total) if seen else (0, 1)
    bars = [bar(branch) for branch in seen.steps] if seen else []
    far = instead or (f"step {done} of {total}" if seen else "waits")
    if seen and done >= total:
        far = f"{total} steps, finished"
    image = f'<img src="{inline(seen.preview)}" alt="">' if seen and seen.preview else ""
    return (
        f'<div class="mm-lane {side}" role="progressbar" aria-label="{SIDES[side]}" aria-valuemin="0" '
        f'aria-valuemax="{total}" aria-valuenow="{done}" aria-valuetext="{text(far)}">'
        f'<b>{SIDES[side]}</b><div class="mm-growing">{image}</div>{strip(bars, total)}'
        f'<span class="mm-at">{text(far)}</span></div>'
    )
