"""What a tab needs besides a prompt, and how it becomes arguments of the pipeline's call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

import mmcache_demos as demos
from mmcache_demos.app.guards import guard_editor
from mmcache_demos.app.limits import Limits

EXAMPLES = Path(demos.__file__).parent / "inputs"
CANVAS = (320, 320)  # pixels of the editor, before it takes the shape of a picture
BRUSH = 10  # pixels of the canvas
# Small exchanges with the page that need no turn in the queue.
QUIET: dict[str, Any] = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
# The same where something may be refused: gradio shows messages of queued events only.
ANSWERED = QUIET | {"queue": True}
# The same where pictures are decoded: one at a time, whoever asks.
DECODING = ANSWERED | {"concurrency_limit": 1, "concurrency_id": "pictures"}


@dataclass(frozen=True)
class Board:
    """The picture inputs of a tab.

    Attributes:
        inputs: whose values `read` is given.
        read: from a pipeline and those values to arguments of its call; ValueError for what is missing.
    """

    inputs: Sequence[gr.components.Component]
    read: Callable[..., dict[str, Any]]


def paint_editor(
    begins_with: Any, label: str, brush: gr.Brush, limits: Limits, **more: Any
) -> gr.ImageEditor:
    """A canvas to paint on, and nothing else.

    Args:
        begins_with: what is on it, as `painting.on_canvas` makes it.
        label: for who does not see it.
        brush: what is painted with.
        limits: of what it is given back.
        **more: of the editor.
    """
    editor = gr.ImageEditor(
        begins_with,
        type="pil",
        label=label,
        show_label=False,
        sources=(),
        transforms=(),
        layers=False,
        brush=brush,
        canvas_size=CANVAS,
        buttons=[],
        elem_classes="mm-editor",
        **more,
    )
    guard_editor(editor, limits)
    return editor


def paint_buttons(upload: str, clear: str) -> tuple[gr.UploadButton, gr.Button, gr.Button]:
    """Below the canvas: for a picture of one's own, for an empty canvas, and for the example."""
    with gr.Row():
        return (
            gr.UploadButton(upload, file_types=["image"], size="sm", min_width=90),
            gr.Button(clear, size="sm", min_width=70),
            gr.Button("Example", size="sm", min_width=70),
        )


def no_board() -> Board:
    """For a prompt alone."""
    return Board((), lambda pipe: {})
