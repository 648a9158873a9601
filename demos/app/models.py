"""The pipelines of a server: which of them a visitor may choose, and those that are in memory."""

import os
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmcache.errors import shown
from mmcache.tools.loading import find_device, find_dtype
from mmcache.tools.tasks.tasks import Task, load_for
from mmcache_demos import SHIPPED, load_miniature
from mmcache_demos.app.settings import MINIATURE, SHIPPED_AS

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


# The one name of each shipped model in words.
LABELS = {
    "text-to-image": "U-Net miniature",
    "inpainting": "inpainting miniature",
    "controlnet": "ControlNet miniature",
    "text-to-video": "video miniature",
    "transformer": "transformer miniature",
}


class ModelRefusedError(ValueError):
    """A visitor named a model that this server does not load; the message says which it does."""


@dataclass(frozen=True)
class Offer:
    """What whoever starts the server allows.

    Attributes:
        models: folders or hub ids, the first is what the page begins with; the miniature is always there.
        typed: whether visitors may type other ids of the hub. Never folders: they could look for files.
        parts: for a task a further model, such as a ControlNet, that is added to `models` where they have
            none of their own.
        device, dtype: as `load_pipeline` takes them.
    """

    models: Sequence[str] = ()
    typed: bool = False
    parts: Mapping[str, str] = field(default_factory=dict)
    device: str = "auto"
    dtype: str = "auto"

    def names(self, task: Task) -> tuple[str, ...]:
        """What the page lists for a task."""
        return (*self.models, MINIATURE, *(SHIPPED_AS + name for name in task.others))

    def check(self, name: str, task: Task) -> None:
        """Refuse a model that is neither offered nor, where that is allowed, an id of the hub.

        Raises:
            ModelRefusedError: it is.
        """
        offered = self.names(task)
        if name in offered:
            return
        if not self.typed:
            raise ModelRefusedError(f"{shown(name)} is not offered here; choose one of {', '.join(offered)}")
        # What is a folder here would be loaded as one, so it is none of a visitor's names.
        if not HUB_ID.fullmatch(name) or os.path.lexists(name):
            raise ModelRefusedError(
                f"{shown(name)} is no id of the Hugging Face hub; wanted owner/name, or one of "
                f"{', '.join(offered)}"
            )


def miniature_of(task: Task, name: str) -> str | None:
    """The shipped miniature that a model's name on the page stands for; None for another model."""
    own = {MINIATURE: task.miniature} | {SHIPPED_AS + other: other for other in task.others}
    return own.get(name)


def needed_call(task: Task, name: str) -> Mapping[str, Any]:
    """The arguments that a model's pipeline cannot do without, beside what a visitor chooses."""
    miniature = miniature_of(task, name)
    return SHIPPED[miniature].call if miniature else {}


def label(model: str, task: Task | None = None) -> str:
    """A model's name in words.

    Args:
        model: as `Offer.names` has it, or with SHIPPED_AS in front.
        task: whose miniature is meant by MINIATURE.
    """
    shipped = task.miniature if task and model == MINIATURE else model.removeprefix(SHIPPED_AS)
    return LABELS.get(shipped, model) if shipped != model else model


class Models:
    """The pipelines in memory.

    Attributes:
        running: held by whoever runs one of them. They share a processor, so one run at a time is also what
            makes seconds mean something.
        loading: held by whoever builds a model. diffusers changes torch's own classes while it loads one, so
            that another that is built meanwhile gets parameters without values.
    """

    def __init__(self, offer: Offer, most: int) -> None:
        self.offer = offer
        self.running = threading.Lock()
        self._most = most
        self.loading = threading.Lock()
        self._pipes: OrderedDict[tuple[str, str], Any] = OrderedDict()

    def pipe_for(self, task: Task, name: str) -> Any:
        """The pipeline of a model for a task, loaded if it is not.

        Raises:
            ModelRefusedError: a visitor may not choose it.
            ModelNotFoundError, UnsupportedPipelineError: it cannot be loaded, or does something else.
        """
        self.offer.check(name, task)
        key = (task.name, name)
        with self.loading:
            if key not in self._pipes:
                while len(self._pipes) >= self._most:  # before, so that both are never in memory
                    self._pipes.popitem(last=False)
                self._pipes[key] = self._load(task, name)
            self._pipes.move_to_end(key)
            return self._pipes[key]

    def loaded(self, task: Task, name: str) -> Any | None:
        """The same if it is in memory; None if it is not."""
        return self._pipes.get((task.name, name))

    def _load(self, task: Task, name: str) -> Any:
        offer = self.offer
        if miniature := miniature_of(task, name):
            place = find_device(offer.device)
            return load_miniature(miniature, torch_dtype=find_dtype(offer.dtype, place)).to(place)
        return load_for(task, name, offer.parts.get(task.name), offer.device, offer.dtype, spare=True)
