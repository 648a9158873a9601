"""The figures of a comparison: the three that most people need, and the others for whoever wants details."""

from typing import NamedTuple

from mmcache.api.figures import format_bytes, format_macs
from mmcache.tools.comparison.comparison import Comparison
from mmcache_demos.app.markup import join, text

MEANINGS = {
    "time": "Wall time of the whole call: text, denoising and decoding. On a machine that is busy with other "
    "things it wavers; the work does not.",
    "work": "How many times fewer multiply-adds the model had to compute, whatever the machine.",
    "steps": "On a full step the whole model runs. On a cached step only its outermost layers do, or none; "
    "the rest is forecast from the full steps before.",
    "MACs": "A multiply-add (MAC) is one multiplication and one addition.",
    "PSNR": "Peak signal-to-noise ratio, from the mean squared difference of all pixels: 20 dB more is a "
    "difference ten times smaller. Higher is closer.",
    "SSIM": "Structural similarity: whether edges and textures are alike, from 0 to 1. 1 is identical.",
    "VMAF": "A measure of video quality as people see it, from 0 to 100. 100 is as good as the full run.",
    "cache": "Memory that the kept features take, at most, while the cached run goes on.",
}
FIRST = ("time", "work", "steps")


class Figure(NamedTuple):
    """A figure as it is shown.

    Attributes:
        meaning: a key of MEANINGS.
        label: what it is.
        value: itself.
        beside: what it is made of.
    """

    meaning: str
    label: str
    value: str
    beside: str = ""


def figures_of(found: Comparison, full_was_kept: bool) -> list[Figure]:
    """What a comparison came to; those of FIRST come first."""
    kept = " (kept)" if full_was_kept else ""
    figures = [
        Figure(
            "time",
            "less time",
            f"{found.speed_up:.1f}x",
            f"{in_seconds(found.full.seconds)}{kept} to {in_seconds(found.cached.seconds)}",
        )
    ]
    if found.macs and found.full_macs:
        figures.append(Figure("work", "less work", f"{found.full_macs / found.macs:.1f}x", "of the model"))
    steps = found.full_steps + found.cached_steps
    figures.append(
        Figure("steps", "full steps", f"{found.full_steps} of {steps}", f"{found.cached_steps} cached")
    )
    figures += [
        Figure(label.split()[0], label, value.removesuffix(" (identical)"))
        for label, value in found.likeness_rows()
    ]
    if found.macs and found.full_macs:
        figures.append(
            Figure("MACs", "multiply-adds", f"{format_macs(found.full_macs)} to {format_macs(found.macs)}")
        )
    figures.append(Figure("cache", "memory of the cache", format_bytes(found.bytes_held), "at most"))
    return figures


def in_seconds(seconds: float) -> str:
    """A figure that is not parted from its unit."""
    return f"{seconds:.2f}\N{NO-BREAK SPACE}s"


def psnr_of(found: Comparison) -> float:
    """How close both results are in dB; of a video the mean of its frames, as everywhere."""
    return float(found.likeness_rows()[0][1].split()[0])


def figures_markup(figures: list[Figure], kind: str = "") -> str:
    """A list of terms; what a figure means opens under it, by mouse, finger and keyboard alike."""
    return f'<dl class="mm-figures {kind}">{join(map(figure_markup, figures))}</dl>'


def figure_markup(figure: Figure) -> str:
    return (
        f'<div class="mm-figure" data-figure="{text(figure.meaning)}">'
        f'<dt><details><summary title="{text(MEANINGS[figure.meaning])}">{text(figure.label)}</summary>'
        f"<p>{text(MEANINGS[figure.meaning])}</p></details></dt>"
        f"<dd>{text(figure.value)}<small>{text(figure.beside)}</small></dd></div>"
    )
