"""What a tab needs besides a prompt, and how it becomes arguments of the pipeline's call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from mmcache import demos

EXAMPLES = Path(demos.__file__).parent / "inputs"
CANVAS = (320, 320)  # pixels of the editor, before it takes the shape of a picture
BRUSH = 10  # pixels of the canvas
# Small exchanges with the page that need no turn in the queue.
QUIET: dict[str, Any] = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
# The same where something may be refused: gradio shows messages of queued events only.
ANSWERED = QUIET | {"queue": True}


@dataclass(frozen=True)
class Board:
    """The picture inputs of a tab.

    Attributes:
        inputs: whose values `read` is given.
        read: from a pipeline and those values to arguments of its call; ValueError for what is missing.
    """

    inputs: Sequence[gr.components.Component]
    read: Callable[..., dict[str, Any]]


def no_board() -> Board:
    """For a prompt alone."""
    return Board((), lambda pipe: {})
