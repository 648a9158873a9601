"""What a tab needs besides a prompt: a picture with a painted mask, or lines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from mmcache import demos
from mmcache.demos.app import painting
from mmcache.demos.app.limits import Limits
from mmcache.demos.app.markup import inline
from mmcache.demos.app.messages import told_to_visitor
from mmcache.demos.app.uploads import read_upload
from mmcache.measuring.picture_files import read_mask, read_picture
from mmcache.measuring.task_inputs import size_like
from mmcache.measuring.tasks import Task

PAINT = (214, 51, 108)  # as `given_pictures.DRAWN_ANEW`: portraits do not have it
PAINT_OPACITY = 170  # of 255; what was there shows through
LINES = (255, 255, 255)
BRUSH = 10  # pixels of a canvas that is at least 320 wide
FILES = Path(demos.__file__).parent / "inputs"


@dataclass(frozen=True)
class Board:
    """The picture inputs of a tab.

    Attributes:
        inputs: whose values `read` is given.
        read: from a pipeline and those values to arguments of its call; ValueError for what is missing.
    """

    inputs: Sequence[gr.components.Component]
    read: Callable[..., dict[str, Any]]


def board_for(task: Task, limits: Limits) -> Board:
    """Build the board of a task where it is called for; one without inputs for those that need none."""
    build = BOARDS.get(task.name)
    return build(task, limits) if build else Board((), lambda pipe: {})


def inpainting_board(task: Task, limits: Limits) -> Board:
    """A picture, and a mask that is painted on it."""
    shipped = read_picture(FILES / task.inputs["image"])
    mask = read_mask(FILES / task.inputs["mask"], shipped.size)

    def canvas(picture: Image.Image, painted: Image.Image | None) -> dict[str, Any]:
        layer = None if painted is None else painting.layer_of(painted, PAINT, PAINT_OPACITY)
        return painting.on_canvas(picture, layer)

    # What the pipeline is given is the picture itself: the editor shows it enlarged, and browsers change
    # colours a little.
    picture = gr.State(shipped)
    editor = gr.ImageEditor(
        canvas(shipped, mask),
        type="pil",
        label="Picture to paint on",
        show_label=False,
        sources=(),
        transforms=(),
        layers=False,
        brush=gr.Brush(BRUSH * 3, [(f"rgb{PAINT}", PAINT_OPACITY / 255)], color_mode="fixed"),
        canvas_size=(320, 320),
        buttons=[],
        elem_classes="mm-editor",
    )
    with gr.Row():
        upload = gr.UploadButton("Upload a picture", file_types=["image"], size="sm", min_width=90)
        clear = gr.Button("Clear the mask", size="sm", min_width=70)
        example = gr.Button("Example", size="sm", min_width=70)

    def take(path: str) -> tuple[Image.Image, dict[str, Any]]:
        with told_to_visitor():
            taken = read_upload(path, limits)
        return taken, canvas(taken, None)

    quiet: dict[str, Any] = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
    upload.upload(take, upload, [picture, editor], **quiet)
    clear.click(lambda now: canvas(now, None), picture, editor, **quiet)
    example.click(lambda: (shipped, canvas(shipped, mask)), None, [picture, editor], **quiet)

    def read(pipe: Any, image: Image.Image, painted: Any) -> dict[str, Any]:
        return size_like(pipe, image) | {
            "image": image,
            "mask_image": painting.mask_from(painted, image.size),
        }

    return Board((picture, editor), read)


def controlnet_board(task: Task, limits: Limits) -> Board:
    """Lines that are drawn, or the edges of a picture that is uploaded."""
    shipped = read_picture(FILES / task.inputs["image"])

    def canvas(lines: Image.Image | None) -> dict[str, Any]:
        ground = Image.new("RGB", lines.size if lines else shipped.size, "black")
        return painting.on_canvas(ground, lines and painting.layer_of(lines, LINES, 255))

    editor = gr.ImageEditor(
        canvas(shipped),
        type="pil",
        label="Lines to draw",
        show_label=False,
        sources=(),
        transforms=(),
        layers=False,
        brush=gr.Brush(BRUSH // 2, [f"rgb{LINES}"], color_mode="fixed"),
        eraser=gr.Eraser(BRUSH * 2),
        canvas_size=(320, 320),
        buttons=[],
        elem_classes="mm-editor",
    )
    with gr.Row():
        upload = gr.UploadButton("Edges of a picture", file_types=["image"], size="sm", min_width=90)
        clear = gr.Button("Clear", size="sm", min_width=70)
        example = gr.Button("Example", size="sm", min_width=70)
    shown = gr.HTML(map_markup(shipped), apply_default_css=False)

    def take(path: str) -> dict[str, Any]:
        with told_to_visitor():
            taken = read_upload(path, limits)
        # The longer side gets as many pixels as the example's; a larger model's lines are scaled up.
        scale = max(shipped.size) / max(taken.size)
        size = max(1, round(taken.width * scale)), max(1, round(taken.height * scale))
        return canvas(painting.edges_in(taken, size))

    def map_of(painted: Any) -> str:
        layers = painting.layers_of(painted)
        return map_markup(painting.covered(layers, map_size(layers[0]))) if layers else ""

    quiet: dict[str, Any] = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
    upload.upload(take, upload, editor, **quiet)
    clear.click(lambda: canvas(None), None, editor, **quiet)
    example.click(lambda: canvas(shipped), None, editor, **quiet)
    editor.change(map_of, editor, shown, **quiet)

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


BOARDS: dict[str, Callable[[Task, Limits], Board]] = {
    "inpaint": inpainting_board,
    "controlnet": controlnet_board,
}
