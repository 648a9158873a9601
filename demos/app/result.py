"""A comparison as the page shows it: a sentence, the figures, the pictures or clips, and what can be had."""

from collections.abc import Mapping
from pathlib import Path

from mmcache.demos.app.curve import curve
from mmcache.demos.app.figures import figures_markup, figures_of
from mmcache.demos.app.markup import address, join, text
from mmcache.demos.app.strip import bars_of, strip
from mmcache.measuring import clip_comparison as clip
from mmcache.measuring import comparison as still
from mmcache.measuring.clip_comparison import ClipComparison
from mmcache.measuring.comparison import Comparison, png
from mmcache.measuring.comparison_table import notes_of
from mmcache.measuring.pictures import enlarged
from mmcache.plans.plan_file import plan_text

DIFFERENCE, GIVEN, PLAN = "difference.png", "input.png", "plan.yaml"
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
LARGE = 256  # pixels: smaller pictures are shown pixel for pixel, not smoothed


def files_of(found: Comparison) -> dict[str, bytes]:
    """Everything that the page shows or offers of a comparison, by name."""
    files = found.files() | {PLAN: plan_text(found.plan).encode()}
    if isinstance(found, ClipComparison):
        return files
    *_, difference = found.panels()
    files[DIFFERENCE] = png(difference.pictures[0])
    if found.inputs:
        files[GIVEN] = png(enlarged(found.inputs[0].pictures[0]))
    return files


def result_markup(found: Comparison, files: Mapping[str, Path], full_was_kept: bool) -> str:
    """The whole result.

    Args:
        found: what was measured.
        files: those of `files_of`, written.
        full_was_kept: the full run is from before.
    """
    shown = clips_markup(found, files) if isinstance(found, ClipComparison) else stills_markup(found, files)
    return (
        f'<article class="mm-result" data-kept="{str(full_was_kept).lower()}">'
        f"<p class='mm-headline'>{text(headline(found))}</p>"
        f"{figures_markup(figures_of(found, full_was_kept))}{strips(found)}{shown}"
        f"{notes_markup(found, full_was_kept)}{downloads_markup(files)}</article>"
    )


def headline(found: Comparison) -> str:
    """The outcome in one sentence."""
    saved = f"{found.full.seconds:.2f} s became {found.cached.seconds:.2f} s"
    if found.identical:
        return f"{saved}, and the result is the same bit for bit."
    what = "clips" if isinstance(found, ClipComparison) else "pictures"
    name, value = found.likeness_rows()[0]
    return f"{saved}. The {what} are {value} apart ({name.replace('PSNR to full', 'PSNR')})."


def strips(found: Comparison) -> str:
    """What each step of both runs was."""
    return join(
        f'<figure class="mm-steps"><figcaption>What each step of {text(part.name)} ran, above without a cache, '
        f"below with it; a bar is as tall as the step's work</figcaption>"
        f"{strip([one._replace(branch=None, share=1.0) for one in bars_of(part)])}{strip(bars_of(part))}</figure>"
        for part in found.report.denoisers
    )


def stills_markup(found: Comparison, files: Mapping[str, Path]) -> str:
    """The two pictures under one another to wipe between, and beside each other with their difference."""
    _, height, width, _ = found.full.pictures.shape
    full, cached, difference = found.panels()
    shape = (
        f'style="--ratio:{width}/{height}" class="mm-wipe{" pixels" if max(width, height) < LARGE else ""}"'
    )
    wipe = (
        f'<figure {shape}><div class="mm-frame">'
        f'<img src="{address(files[still.CACHED])}" alt="Cached: {text(prompt_of(found))}">'
        f'<img class="mm-over" src="{address(files[still.FULL])}" alt="Full: {text(prompt_of(found))}">'
        '<span class="mm-tag full">full</span><span class="mm-tag cached">cached</span><span class="mm-line"></span>'
        '<input type="range" min="0" max="100" value="50" step="1" '
        'aria-label="Wipe: how much of the full picture lies over the cached one, in percent"></div>'
        "<figcaption>Drag across the picture, or use the arrow keys: left of the line full, right of it cached."
        "</figcaption></figure>"
    )
    panels = [
        ("full", still.FULL, full.title, full.subtitle),
        ("cached", still.CACHED, cached.title, cached.subtitle),
        ("difference", DIFFERENCE, difference.title, difference.subtitle),
    ]
    if GIVEN in files:
        given = found.inputs[0]
        panels.insert(0, ("given", GIVEN, given.title, given.subtitle))
    small = " pixels" if max(width, height) < LARGE else ""
    beside = join(
        f'<figure class="mm-panel{small}" data-panel="{name}"><img src="{address(files[file])}" alt="{text(title)}">'
        f"<figcaption><b>{text(title)}</b> {text(below)}</figcaption></figure>"
        for name, file, title, below in panels
    )
    return f'<div class="mm-shown">{wipe}<div class="mm-panels">{beside}</div></div>'


def clips_markup(found: ClipComparison, files: Mapping[str, Path]) -> str:
    """Both clips in two players that go in step, the strip of frames, and the curve."""
    players = join(
        f'<figure><video src="{address(files[file])}" muted loop playsinline preload="auto" '
        f'aria-label="{side}: {text(prompt_of(found))}"></video><figcaption><b>{text(title)}</b> {text(below)}'
        f"</figcaption></figure>"
        for (title, below), side, file in zip(
            found.titles(), ("Full", "Cached"), (clip.FULL, clip.CACHED), strict=True
        )
    )
    return (
        f'<div class="mm-players" data-fps="{found.fps:g}"><div class="mm-pair">{players}</div>'
        '<div class="mm-bar"><button type="button" class="mm-play">Play both</button>'
        '<input type="range" min="0" max="1000" value="0" step="1" aria-label="Place in both clips"></div></div>'
        f'<figure class="mm-sheet"><img src="{address(files[still.SHEET])}" alt="Frames of the full clip, of the '
        f'cached one, and their difference"><figcaption>Frames from left to right: full, cached, and their '
        f"amplified difference.</figcaption></figure>"
        f"<figure><figcaption>PSNR of each frame of the cached clip to the full one</figcaption>"
        f"{curve(found.frames)}</figure>"
    )


def prompt_of(found: Comparison) -> str:
    return str(found.settings.get("prompt", "no prompt"))


def notes_markup(found: Comparison, full_was_kept: bool) -> str:
    """What else there is to say."""
    notes = notes_of(found)
    if full_was_kept:
        notes.insert(
            0,
            "Only the cached side was run: the full run was kept, since nothing but the plan has changed.",
        )
    lines = [f"Plan: {found.plan}.", f"Seconds: {found.timing}.", *notes]
    return f'<ul class="mm-notes">{join(f"<li>{text(line)}</li>" for line in lines)}</ul>'


def downloads_markup(files: Mapping[str, Path]) -> str:
    """A link for every file that a visitor may want to keep."""
    links = join(
        f'<li><a href="{address(files[name])}" download="{text(name)}">{text(label)}</a></li>'
        for name, label in DOWNLOADS.items()
        if name in files
    )
    return f'<nav class="mm-downloads" aria-label="Downloads"><ul>{links}</ul></nav>'
