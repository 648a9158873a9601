"""The comparisons that come with the page, so that it shows a result before anybody has pressed anything."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mmcache_demos.app.costs import UNSEEN, closeness
from mmcache_demos.app.film import race_markup
from mmcache_demos.app.markup import join, text

FOLDER = Path(__file__).parent / "stored"
INDEX = "comparisons.json"
SHARED = "share.png"
SERVED = "stored"  # below the page's own address


@dataclass(frozen=True)
class Stored:
    """A stored comparison.

    Attributes:
        task: what was generated.
        prompt, seed: of it.
        cost: of the slider, as "2.5x".
        less_work: times fewer multiply-adds.
        psnr, ssim: of the cached result to the full one.
        steps: of each run.
        full_steps: of the cached run.
        macs: of the denoiser, "full" and "cached".
        branches: of each step of the cached run; None for a full one.
        width, height: of the result.
        files: by what they are: full and cached, of a clip both in one, and the film strips film-full,
            film-cached.
        films: `steps` and `at` of both film strips.
    """

    task: str
    prompt: str
    seed: int
    cost: str
    less_work: float
    psnr: float
    ssim: float
    steps: int
    full_steps: int
    macs: Mapping[str, int]
    branches: list[int | None]
    width: int
    height: int
    files: Mapping[str, str]
    films: Mapping[str, Any]

    @property
    def is_clip(self) -> bool:
        """Whether it is a video."""
        return "both" in self.files

    @property
    def headline(self) -> str:
        """The point of the page."""
        nearly = "Same" if self.psnr >= UNSEEN else "Nearly the same"
        return f"{nearly} {'clip' if self.is_clip else 'picture'}. {times(self.less_work)} less work."

    @property
    def says(self) -> str:
        """How close, and what this is."""
        return (
            f"{closeness(self.psnr)} ({self.psnr:.0f} dB). This is a stored result; press Compare for yours."
        )

    @property
    def figures(self) -> tuple[tuple[str, str, str], ...]:
        """The three figures that most people need: label, value, and what it is made of."""
        cached = self.steps - self.full_steps
        return (
            ("less work", f"{round(self.less_work, 1):g}x", "of the model"),
            ("full steps", f"{self.full_steps} of {self.steps}", f"{cached} reuse what these computed"),
            ("closeness", f"{self.psnr:.0f} dB", f"from {UNSEEN:g} dB on nobody sees a difference"),
        )


def times(ratio: float) -> str:
    """2.5 times."""
    return f"{round(ratio, 1):g} times"


def address(file: str) -> str:
    """Where the page finds a stored file."""
    return f"{SERVED}/{quote(file)}"


@cache
def index() -> Mapping[str, Any]:
    """What `store` has written: the command, the comparisons by task, the thumbnails by task."""
    found: Mapping[str, Any] = json.loads((FOLDER / INDEX).read_text(encoding="utf-8"))
    return found


def stored(task: str) -> Stored | None:
    """The stored comparison of a task."""
    found = index()["comparisons"].get(task)
    return Stored(**found) if found else None


def thumbnails(task: str) -> list[str]:
    """The addresses of the images of a tab's examples."""
    return [address(file) for file in index()["thumbnails"].get(task, [])]


def race_of(one: Stored) -> str:
    """Its two films, HTML."""
    return race_markup(one.films, {side: address(one.files[f"film-{side}"]) for side in one.films})


def details_of(one: Stored) -> str:
    """Its figures, HTML."""
    macs = " to ".join(f"{one.macs[side] / 1e9:.1f}G" for side in ("full", "cached"))
    rows = (
        ("Prompt", f"{one.prompt}, seed {one.seed}"),
        ("PSNR to the full run", f"{one.psnr:.1f} dB"),
        ("SSIM to the full run", f"{one.ssim:.4f}"),
        ("Multiply-adds", macs),
        ("Made by", index()["command"]),
    )
    return join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in rows)
