"""A comparison as the page shows it: a sentence, the figures, the pictures or clips, and what can be had."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mmcache.plans.plan_file import plan_text
from mmcache.tools.comparison import comparison as still
from mmcache.tools.comparison import video_comparison as clip
from mmcache.tools.comparison.comparison import Comparison
from mmcache.tools.comparison.comparison_table import notes_of
from mmcache.tools.comparison.video_comparison import VideoComparison
from mmcache_demos.app.clips import clips_markup
from mmcache_demos.app.figures import figures_markup, figures_of
from mmcache_demos.app.markup import address, join, text
from mmcache_demos.app.stills import further_files, stills_markup
from mmcache_demos.app.strip import Bar, bar, bars_of, strip

PLAN = "plan.yaml"
DOWNLOADS = {  # by name, in the order in which they are offered
    still.FULL: "Full picture",
    still.CACHED: "Cached picture",
    clip.FULL: "Full clip",
    clip.CACHED: "Cached clip",
    clip.SIDE_BY_SIDE: "Side by side, moving",
    still.SHEET: "Side by side",
    still.REPORT: "Report",
    PLAN: "Plan file",
}
KEPT = "Only the cached side was run: the full run was kept, since nothing but the plan has changed."


def files_of(found: Comparison) -> dict[str, bytes]:
    """Everything that the page shows or offers of a comparison, by name."""
    files = found.files() | {PLAN: plan_text(found.plan).encode()}
    return files if isinstance(found, VideoComparison) else files | further_files(found)


def result_markup(found: Comparison, files: Mapping[str, Path], full_was_kept: bool) -> str:
    """The whole result.

    Args:
        found: what was measured.
        files: those of `files_of`, written.
        full_was_kept: the full run is from before.
    """
    prompt = str(found.settings.get("prompt", "no prompt"))
    if isinstance(found, VideoComparison):
        shown = clips_markup(found, files, prompt)
    else:
        shown = stills_markup(found, files, prompt)
    return (
        f'<article class="mm-result" data-kept="{str(full_was_kept).lower()}">'
        f'<p class="mm-headline">{text(headline(found))}</p>'
        f"{figures_markup(figures_of(found, full_was_kept))}{strips(found)}{shown}"
        f"<aside>{downloads_markup(files)}{notes_markup(found, full_was_kept)}</aside></article>"
    )


def headline(found: Comparison) -> str:
    """The outcome in one sentence."""
    saved = f"{found.full.seconds:.2f} s became {found.cached.seconds:.2f} s"
    if found.identical:
        return f"{saved}, and the result is the same bit for bit."
    what = "clip" if isinstance(found, VideoComparison) else "picture"
    _, closeness = found.likeness_rows()[0]
    return f"{saved}, for a {what} as close as {closeness} to the full one."


def strips(found: Comparison) -> str:
    """What each step of both runs was."""
    return join(
        f'<figure class="mm-steps"><figcaption>The steps of {text(part.name)}: a bar is as tall as the work '
        f"of the step</figcaption>{strip_row('full', whole(bars))}{strip_row('cached', bars)}</figure>"
        for part, bars in ((part, bars_of(part)) for part in found.report.denoisers)
    )


def whole(bars: Sequence[Bar]) -> list[Bar]:
    """The same steps without a cache."""
    return [bar(None) for _ in bars]


def strip_row(side: str, bars: Sequence[Bar]) -> str:
    """One run: its name, its strip, how many steps were what."""
    full = sum(one.branch is None for one in bars)
    rest = f" + {len(bars) - full} cached" if full < len(bars) else ""
    name, counted = side.capitalize(), f"{full} full{rest}"
    return f'<div class="mm-side {side}"><b>{name}</b>{strip(bars)}<span>{counted}</span></div>'


def notes_markup(found: Comparison, full_was_kept: bool) -> str:
    """What else there is to say."""
    lines = [
        *([KEPT] if full_was_kept else []),
        f"Plan: {found.plan}.",
        f"Seconds: {found.timing}.",
        *notes_of(found),
    ]
    return f'<ul class="mm-notes">{join(f"<li>{text(line)}</li>" for line in lines)}</ul>'


def downloads_markup(files: Mapping[str, Path]) -> str:
    """A link for every file that a visitor may want to keep."""
    links = join(
        f'<li><a href="{address(files[name])}" download="{text(name)}">{text(label)}</a></li>'
        for name, label in DOWNLOADS.items()
        if name in files
    )
    return f'<nav class="mm-downloads" aria-label="Downloads"><ul>{links}</ul></nav>'
