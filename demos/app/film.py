"""Two runs as films that the page plays beside each other: images on the way, each at the run's own pace."""

import io
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from PIL import Image

from mmcache_demos.app.markup import join, text

QUALITY = 82  # of the films' WebP; the images at the end are shown losslessly elsewhere
SIDES = {"full": "Full run", "cached": "Cached run"}
SECONDS = 6.0  # that the longer run takes when it is played


class Film(NamedTuple):
    """The images on the way of one run.

    Attributes:
        images: all of one size, the last is the result.
        steps: after which each was made; the last is the number of steps.
        at: when each was made, as a share of the longer run, from 0 to 1.
    """

    images: Sequence[Image.Image]
    steps: Sequence[int]
    at: Sequence[float]


def film_strip(film: Film) -> bytes:
    """All images beside each other, as one file."""
    width, height = film.images[-1].size
    strip = Image.new("RGB", (width * len(film.images), height))
    for place, image in enumerate(film.images):
        strip.paste(
            image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC), (place * width, 0)
        )
    found = io.BytesIO()
    strip.save(found, "WEBP", quality=QUALITY)
    return found.getvalue()


def race_markup(films: Mapping[str, Mapping[str, Sequence[float]]], addresses: Mapping[str, str]) -> str:
    """Both films as HTML; page.js plays them.

    Args:
        films: `steps` and `at` of each side.
        addresses: of the files of both film strips.
    """
    lanes = join(lane(side, films[side], addresses[side]) for side in SIDES if side in films)
    return (
        f'<figure class="mm-race" data-seconds="{SECONDS:g}"><div class="mm-race-pair">{lanes}</div>'
        f'<button type="button" class="mm-race-go">Watch both images grow</button></figure>'
    )


def lane(side: str, film: Mapping[str, Sequence[float]], address: str) -> str:
    """One side: its film, its bar, and at which step it is."""
    steps, at = film["steps"], film["at"]
    total = int(steps[-1])
    return (
        f'<div class="mm-lane {side}" data-at="{" ".join(f"{one:.4f}" for one in at)}" '
        f'data-steps="{" ".join(map(str, steps))}"><b>{SIDES[side]}</b>'
        f'<div class="mm-film" role="img" aria-label="{SIDES[side]}, as it grows" '
        f'style="background-image:url(&quot;{address}&quot;);'
        f'background-size:{100 * len(at)}% 100%;--last:100%"></div>'
        f'<span class="mm-lane-bar"><i></i></span><span class="mm-at">{text(f"{total} steps")}</span></div>'
    )
