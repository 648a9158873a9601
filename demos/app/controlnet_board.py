"""The board of ControlNet: lines that are drawn, or the edges of a picture that is uploaded."""

from typing import Any

import gradio as gr
from PIL import Image

from mmcache.tools.media.image_files import read_image
from mmcache.tools.tasks.task_inputs import size_like
from mmcache.tools.tasks.tasks import Task
from mmcache_demos.app import painting
from mmcache_demos.app.board import BRUSH, DECODING, EXAMPLES, QUIET, Board, paint_buttons, paint_editor
from mmcache_demos.app.limits import Limits
from mmcache_demos.app.markup import inline
from mmcache_demos.app.messages import told_to_visitor
from mmcache_demos.app.uploads import read_upload

LINES = (255, 255, 255)


def controlnet_board(task: Task, limits: Limits) -> Board:
    """Lines that are drawn, or the edges of a picture that is uploaded."""
    shipped = read_image(EXAMPLES / task.inputs["image"])

    def canvas(lines: Image.Image | None) -> dict[str, Any]:
        ground = Image.new("RGB", lines.size if lines else shipped.size, "black")
        return painting.on_canvas(ground, lines and painting.layer_of(lines, LINES, 255))

    editor = paint_editor(
        canvas(shipped),
        "Lines to draw",
        gr.Brush(BRUSH // 2, [f"rgb{LINES}"], color_mode="fixed"),
        limits,
        eraser=gr.Eraser(BRUSH * 2),
    )
    upload, clear, example = paint_buttons("Edges of an image", "Clear")
    shown = gr.HTML(map_markup(shipped), apply_default_css=False)

    def take(path: str) -> dict[str, Any]:
        with told_to_visitor("board"):
            taken = read_upload(path, limits)
        # The longer side gets as many pixels as the example's; a larger model's lines are scaled up.
        scale = max(shipped.size) / max(taken.size)
        size = max(1, round(taken.width * scale)), max(1, round(taken.height * scale))
        return canvas(painting.edges_in(taken, size))

    def map_of(painted: Any) -> str:
        layers = painting.layers_of(painted)
        return map_markup(painting.covered(layers, map_size(layers[0]))) if layers else ""

    upload.upload(take, upload, editor, **DECODING)
    clear.click(lambda: canvas(None), None, editor, **QUIET)
    example.click(lambda: canvas(shipped), None, editor, **QUIET)
    editor.change(map_of, editor, shown, **DECODING)

    def map_size(layer: Image.Image) -> tuple[int, int]:
        scale = max(shipped.size) / max(layer.size)
        return max(1, round(layer.width * scale)), max(1, round(layer.height * scale))

    def read(pipe: Any, painted: Any) -> dict[str, Any]:
        layers = painting.layers_of(painted)
        small = painting.lines_from(painted, map_size(layers[0]) if layers else shipped.size)
        size = size_like(pipe, small)
        return size | {"image": small}

    return Board((editor,), read)


def map_markup(lines: Image.Image) -> str:
    """The edge map as the network is given it, pixel for pixel."""
    size = f"{lines.width} x {lines.height}"
    return (
        f'<figure class="mm-map"><img src="{inline(lines)}" alt="White lines on black">'
        f"<figcaption>The edge map that the network is given, {size}</figcaption></figure>"
    )
