"""A comparison as the page shows it: a sentence, three figures, images or clips, and details on request."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from mmcache.api.report_markup import bars_of
from mmcache.markup import Bar
from mmcache.plans.plan_file import plan_text
from mmcache.plans.preview import bar
from mmcache.tools.comparison import comparison as still
from mmcache.tools.comparison import video_comparison as clip
from mmcache.tools.comparison.comparison import Comparison
from mmcache.tools.comparison.comparison_table import notes_of
from mmcache.tools.comparison.video_comparison import VideoComparison
from mmcache.tools.media.side_by_side import as_images
from mmcache_demos.app.clips import BOTH, both_clips, clip_details, players_markup, size_of_clips
from mmcache_demos.app.costs import closeness
from mmcache_demos.app.figures import FIRST, figures_markup, figures_of, psnr_of
from mmcache_demos.app.film import Film, film_strip, race_markup
from mmcache_demos.app.markup import address, join, text
from mmcache_demos.app.orders import FullRun, Ran
from mmcache_demos.app.stills import further_files, panels_markup, size_of, wipe
from mmcache_demos.app.stored import Stored, details_of, race_of, times
from mmcache_demos.app.stored import address as stored_address
from mmcache_demos.app.strip import strip
from mmcache_demos.app.watching import Frame

PLAN = "plan.yaml"
FILMS = {"full": "film-full.webp", "cached": "film-cached.webp"}
DOWNLOADS = {  # by name, in the order in which they are offered
    still.FULL: "Full run",
    still.CACHED: "Cached run",
    clip.FULL: "Full run",
    clip.CACHED: "Cached run",
    clip.SIDE_BY_SIDE: "Side by side, moving",
    still.SHEET: "Side by side",
    still.REPORT: "Report",
    PLAN: "Plan file",
}
KEPT = "Only the cached run was made: the full run was kept, since nothing but the speed has changed."
SAME = "The result is the same bit for bit."


def films_of(ran: Ran) -> dict[str, Film]:
    """What was shown of both runs on the way, at their own pace; nothing if nothing was shown."""
    found = ran.found
    if not all(ran.frames.get(side) for side in FILMS):
        return {}
    runs = {"full": found.full, "cached": found.cached}
    longest = max(run.seconds for run in runs.values())
    return {
        side: film(ran.frames[side], FullRun(run), found.full_steps + found.cached_steps, longest)
        for side, run in runs.items()
    }


def film(frames: Sequence[Frame], run: FullRun, steps: int, longest: float) -> Film:
    """One run; of a video the frame in the middle."""
    stills = run.sampling.stills
    middle = len(stills) // 2
    last = as_images(stills[middle : middle + 1])[0]
    size = frames[0].image.size
    images = [*(frame.image for frame in frames), last.resize(size, Image.Resampling.LANCZOS)]
    at = [min(1.0, frame.seconds / longest) for frame in frames]
    return Film(images, [*(frame.step for frame in frames), steps], [*at, run.sampling.seconds / longest])


def files_of(ran: Ran) -> dict[str, bytes]:
    """Everything that the page shows or offers of a comparison, by name."""
    found = ran.found
    files = found.files() | {PLAN: plan_text(found.plan).encode()}
    files |= {FILMS[side]: film_strip(one) for side, one in films_of(ran).items()}
    return files | ({BOTH: both_clips(found)} if isinstance(found, VideoComparison) else further_files(found))


def result_markup(ran: Ran, files: Mapping[str, Path], full_was_kept: bool) -> str:
    """The whole result.

    Args:
        ran: what was measured.
        files: those of `files_of`, written.
        full_was_kept: the full run is from before.
    """
    found = ran.found
    prompt = str(found.settings.get("prompt", "no prompt"))
    if isinstance(found, VideoComparison):
        shown = players_markup(address(files[BOTH]), prompt, *size_of_clips(found))
        more = clip_details(found, files)
    else:
        shown = wipe(address(files[still.FULL]), address(files[still.CACHED]), prompt, *size_of(found))
        more = panels_markup(found, files)
    figures = figures_of(found, full_was_kept)
    first = [figure for figure in figures if figure.meaning in FIRST]
    rest = [figure for figure in figures if figure.meaning not in FIRST]
    films = {side: {"steps": one.steps, "at": one.at} for side, one in films_of(ran).items()}
    race = race_markup(films, {side: address(files[FILMS[side]]) for side in films}) if films else ""
    return (
        f'<article class="mm-result" data-kept="{str(full_was_kept).lower()}">'
        f'<h2 class="mm-headline">{text(headline(found))}</h2>'
        f'<div class="mm-shown">{shown}<aside>{figures_markup(first, "first")}{race}'
        f'{downloads_markup(files)}</aside></div><details class="mm-details"><summary>Details</summary>'
        f"{figures_markup(rest)}{strips(found)}{more}{notes_markup(found, full_was_kept)}</details></article>"
    )


def stored_markup(one: Stored) -> str:
    """A stored comparison, as it stands there before anybody has pressed anything."""
    if one.is_clip:
        both = stored_address(one.files["both"])
        shown = players_markup(both, one.prompt, one.width, one.height, once=True)
    else:
        full, cached = (stored_address(one.files[side]) for side in ("full", "cached"))
        shown = wipe(full, cached, one.prompt, one.width, one.height, once=True)
    bars = [bar(branch) for branch in one.branches]
    figures = join(
        f'<div class="mm-figure"><dt>{text(label)}</dt>'
        f"<dd>{text(value)}<small>{text(beside)}</small></dd></div>"
        for label, value, beside in one.figures
    )
    return (
        f'<article class="mm-result mm-stored"><h2 class="mm-headline">{text(one.headline)}</h2>'
        f'<p class="mm-says">{text(one.says)}</p><div class="mm-shown">{shown}'
        f'<aside><dl class="mm-figures first">{figures}</dl>{race_of(one)}</aside></div>'
        f'<details class="mm-details"><summary>Details of the stored result</summary>'
        f'<dl class="mm-rows">{details_of(one)}</dl>{strip_pair("the denoiser", bars)}</details></article>'
    )


def headline(found: Comparison) -> str:
    """The outcome in one or two short sentences."""
    saved = f"{found.speed_up:.1f}x faster."
    if found.clock_is_doubtful and found.macs and found.full_macs:
        saved = f"{times(found.full_macs / found.macs)} less work."
    if found.identical:
        return f"{saved} {SAME}"
    psnr = psnr_of(found)
    return f"{saved} {closeness(psnr)} ({psnr:.0f} dB)."


def strips(found: Comparison) -> str:
    """What each step of both runs was."""
    return join(strip_pair(part.name, bars_of(part)) for part in found.report.denoisers)


def strip_pair(name: str, bars: Sequence[Bar]) -> str:
    """A full and a cached run, step by step."""
    return (
        f'<figure class="mm-steps"><figcaption>The steps of {text(name)}: a bar is as tall as the work of '
        f"the step</figcaption>{strip_row('full', whole(bars))}{strip_row('cached', bars)}</figure>"
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
    lines = [*([KEPT] if full_was_kept else []), f"Seconds: {found.timing}.", *notes_of(found)]
    return f'<ul class="mm-notes">{join(f"<li>{text(line)}</li>" for line in lines)}</ul>'


def downloads_markup(files: Mapping[str, Path]) -> str:
    """A link for every file that a visitor may want to keep."""
    links = join(
        f'<li><a href="{address(files[name])}" download="{text(name)}">{text(label)}</a></li>'
        for name, label in DOWNLOADS.items()
        if name in files
    )
    title = '<p class="mm-label">Download</p>'
    return f'<nav class="mm-downloads" aria-label="Downloads">{title}<ul>{links}</ul></nav>'
