"""What a cached step leaves of a model: the U, its branches and what each takes, as HTML."""

import io
import threading
from base64 import b64encode
from collections import OrderedDict
from contextlib import suppress
from typing import NamedTuple

from PIL import Image
from torch import nn

from mmcache.api.figures import format_macs
from mmcache.api.resolved_pipeline import find_denoisers
from mmcache.errors import shown
from mmcache.tools.inspecting.canvas import SMALL, heading
from mmcache.tools.inspecting.drawing import draw
from mmcache.tools.inspecting.from_config import denoisers_from_config
from mmcache.tools.inspecting.inspection import Branch, Inspection, inspect
from mmcache.tools.inspecting.inspection_table import figures, notes
from mmcache_demos import SHIPPED, load_miniature
from mmcache_demos.app.markup import join, text
from mmcache_demos.app.models import ModelRefusedError, Models
from mmcache_demos.app.settings import SHIPPED_AS

KEPT_MODELS = 8  # all that are shipped, and a few that the server offers
KEPT_PAGES = 60
USUAL_DPI = 100  # of a drawing that does not say
SMALLEST = 12.5  # pixels of the screen, of the drawing's smallest letters
MARKED = ' aria-current="true"'
WHAT_STAYS = (
    "What stays on a cached step is in colour. The deep part in gray does not run; what it would have given "
    "is the kept feature."
)


class Explored(NamedTuple):
    """A denoiser that is not part of any pipeline, and what there is to say of it."""

    model: nn.Module
    found: Inspection


class Explorer:
    """Models that can be looked at.

    They are copies of their own, most without weights: to look at one, its layers are exchanged for a moment,
    which a run that goes on must not see.
    """

    def __init__(self, models: Models) -> None:
        self._models = models
        self._lock = threading.Lock()
        self._known: OrderedDict[str, list[Explored]] = OrderedDict()
        self._pages: OrderedDict[tuple[str, int], str] = OrderedDict()

    @property
    def names(self) -> list[str]:
        """What can be looked at."""
        return [*self._models.offer.models, *(SHIPPED_AS + name for name in SHIPPED)]

    def branches(self, name: str) -> int:
        """How many branches the first denoiser of a model has."""
        return len(self._explored(name)[0].found.branches)

    def page(self, name: str, branch: int) -> str:
        """A model at a branch, as HTML.

        Raises:
            ModelRefusedError: a visitor may not choose the model.
            ModelNotFoundError: it is not there.
            ValueError: it has no such branch.
        """
        explored = self._explored(name)
        with self._lock:
            if (name, branch) not in self._pages:
                self._pages[name, branch] = join(section(one, branch) for one in explored)
                if len(self._pages) > KEPT_PAGES:
                    self._pages.popitem(last=False)
            return self._pages[name, branch]

    def prepare(self, name: str) -> None:
        """Make the page that a model begins with, so that whoever chooses it does not wait for it."""
        with suppress(ValueError, OSError):  # a model that cannot be shown says so to who asks for it
            self.page(name, 0)

    def _explored(self, name: str) -> list[Explored]:
        # Not even where visitors may type ids: whoever wrote a config names the module that it is for.
        if name not in self.names:
            raise ModelRefusedError(
                f"{shown(name)} cannot be looked at; choose one of {', '.join(self.names)}"
            )
        with self._lock:
            if name not in self._known:
                with self._models.loading:
                    models = denoisers_of(name)
                self._known[name] = [
                    Explored(model, *inspect(model, name=part)) for part, model in models.items()
                ]
                if len(self._known) > KEPT_MODELS:
                    self._known.popitem(last=False)
            return self._known[name]


def denoisers_of(name: str) -> dict[str, nn.Module]:
    """The denoisers of a model, by their names in its pipeline."""
    if not name.startswith(SHIPPED_AS):
        return dict(denoisers_from_config(name))
    pipe = load_miniature(name.removeprefix(SHIPPED_AS))
    return {part: denoiser.model for part, denoiser in find_denoisers(pipe).items()}


def section(one: Explored, branch: int) -> str:
    """One denoiser: the drawing, or why there is none, and the table of its branches."""
    found = one.found
    if not 0 <= branch < len(found.branches):
        raise ValueError(f"{found.kind} has branches 0 to {len(found.branches) - 1}, and no branch {branch}")
    try:
        drawing = draw(one.model, found, branch, titled=False)
        picture = b64encode(drawing).decode()
        stay = found.branches[branch].layers
        label = f"The layers of {found.kind}: on a cached step at branch {branch} {stay} stay"
        drawn = f'<img src="data:image/png;base64,{picture}" alt="{text(label)}" '
        drawn += f'style="width:{shown_width(drawing)}px">'
    except ValueError as reason:
        drawn = f"<p>{text(reason)}</p>"
    return (
        f'<section class="mm-explored"><h2>The model</h2>'
        f'<p class="mm-says">{text(heading(found, branch))}</p><figure class="mm-u">{drawn}'
        f"<figcaption>{WHAT_STAYS}</figcaption>"
        f"</figure>{table(found, branch)}"
        f'<ul class="mm-notes">{join(f"<li>{text(note)}</li>" for note in notes(found))}</ul></section>'
    )


def shown_width(drawing: bytes) -> int:
    """How wide a drawing is shown, in pixels, so that its smallest letters can be read."""
    with Image.open(io.BytesIO(drawing)) as image:
        inches = image.width / image.info.get("dpi", (USUAL_DPI, USUAL_DPI))[0]
    return round(inches * 72 * SMALLEST / SMALL)


def table(found: Inspection, chosen: int) -> str:
    """The branches, the chosen one marked."""
    rows = join(row(one, MARKED if one.branch == chosen else "") for one in found.branches)
    full = f"; a full step takes {format_macs(found.full_macs)}" if found.full_macs else ""
    heads = join(
        f"<th scope='col'>{head}</th>"
        for head in ("branch", "multiply-adds", "of a full step", "cache", "layers that stay")
    )
    return (
        f'<div class="mm-scroll" tabindex="0" role="region" aria-label="Branches of {text(found.name)}">'
        f"<table><caption>The branches of {text(found.name)}{full}</caption><thead><tr>{heads}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def row(one: Branch, marked: str) -> str:
    cells = join(f"<td>{text(figure)}</td>" for figure in figures(one))
    return f"<tr{marked}><th scope='row'>{one.branch}</th>{cells}<td>{text(one.layers)}</td></tr>"
