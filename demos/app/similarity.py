"""The map of similar features for the tab "Explore": measured once for each model, for all visitors alike."""

import threading
from base64 import b64encode

from mmcache.tools.inspecting.similarity import ALIKE, Similarity, feature_similarity
from mmcache.tools.inspecting.similarity_drawing import draw_similarity
from mmcache.tools.tasks.miniatures import task_of
from mmcache.tools.tasks.tasks import Task, find_task
from mmcache_demos import SHIPPED
from mmcache_demos.app.markup import join, text
from mmcache_demos.app.models import ModelRefusedError, Models, needed_call
from mmcache_demos.app.settings import MINIATURE, SHIPPED_AS

STEPS = 50
NOT_MEASURED = (
    "Not measured for this model yet: how alike the deep features of any two steps are. It takes one full "
    "run."
)
NEEDS_A_PICTURE = (
    "This model needs an image, so its map is measured on the command line: mmcache inspect {name} "
    "--similarity features.png"
)


class SimilarityMaps:
    """The maps that were measured.

    Args:
        models: are run for it, when nobody else runs one.
    """

    def __init__(self, models: Models) -> None:
        self._models = models
        self._lock = threading.Lock()
        self._maps: dict[str, str] = {}

    def known(self, name: str) -> str:
        """The map of a model as HTML, or in words that there is none yet.

        Args:
            name: as `Explorer.names` has it.
        """
        if name in self._maps:
            return self._maps[name]
        task, model = drawn_by(name)
        needs = NEEDS_A_PICTURE.format(name=name.removeprefix(SHIPPED_AS) if model == MINIATURE else name)
        return f'<p class="mm-plan">{text(needs if task.needed else NOT_MEASURED)}</p>'

    def measured(self, name: str) -> str:
        """The map of a model as HTML; it is sampled if there is none yet.

        Raises:
            ModelRefusedError: a visitor may not choose the model, or it needs a picture.
            ModelNotFoundError, UnsupportedPipelineError: it cannot be loaded, or draws something else.
        """
        task, model = drawn_by(name)
        if task.needed:
            raise ModelRefusedError(NEEDS_A_PICTURE.format(name=name.removeprefix(SHIPPED_AS)))
        pipe = self._models.pipe_for(task, model)
        with self._lock, self._models.running:
            if name not in self._maps:
                found = feature_similarity(pipe, task.prompt, steps=STEPS, **needed_call(task, model))
                self._maps[name] = join(figure(one) for one in found)
        return self._maps[name]


def drawn_by(name: str) -> tuple[Task, str]:
    """What a model of the tab draws for its map, and its name among the models."""
    shipped = name.removeprefix(SHIPPED_AS)
    if name != shipped and shipped in SHIPPED:
        task = task_of(shipped)
        return task, MINIATURE if shipped == task.miniature else name
    return find_task("text-to-image"), name


def figure(found: Similarity) -> str:
    """The drawing, and for whoever does not see it the same in words."""
    picture = b64encode(draw_similarity(found)).decode()
    said = "; ".join(
        f"branch {branch}: {found.neighbours(branch):.4f} to the next step, {found.alike(branch):.0%} of all "
        f"steps above {ALIKE:g}"
        for branch in found.cosines
    )
    return (
        f'<figure class="mm-u"><img src="data:image/png;base64,{picture}" alt="{text(said)}">'
        f"<figcaption>Bright where the deep features of two steps are alike (cosine). Where the diagonal is "
        f"broad, steps can be left out.</figcaption></figure>"
    )
