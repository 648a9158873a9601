"""The board of inpainting: a picture, and a mask that is painted on it."""

from typing import Any

import gradio as gr
from PIL import Image

from mmcache.tools.media.image_files import read_image, read_mask
from mmcache.tools.tasks.task_inputs import size_like
from mmcache.tools.tasks.tasks import Task
from mmcache_demos.app import painting
from mmcache_demos.app.board import BRUSH, DECODING, EXAMPLES, QUIET, Board, paint_buttons, paint_editor
from mmcache_demos.app.limits import Limits
from mmcache_demos.app.messages import told_to_visitor
from mmcache_demos.app.uploads import read_upload

PAINT = (214, 51, 108)  # as `given_pictures.DRAWN_ANEW`: portraits do not have it
PAINT_OPACITY = 170  # of 255; what was there shows through


def inpainting_board(task: Task, limits: Limits) -> Board:
    """A picture, and a mask that is painted on it."""
    shipped = read_image(EXAMPLES / task.inputs["image"])
    mask = read_mask(EXAMPLES / task.inputs["mask"], shipped.size)

    def canvas(picture: Image.Image, painted: Image.Image | None) -> dict[str, Any]:
        layer = None if painted is None else painting.layer_of(painted, PAINT, PAINT_OPACITY)
        return painting.on_canvas(picture, layer)

    # What the pipeline is given is the picture itself: the editor shows it enlarged, and browsers change
    # colours a little.
    picture = gr.State(shipped)
    editor = paint_editor(
        canvas(shipped, mask),
        "Picture to paint on",
        gr.Brush(BRUSH * 3, [(f"rgb{PAINT}", PAINT_OPACITY / 255)], color_mode="fixed"),
        limits,
    )
    upload, clear, example = paint_buttons("Upload an image", "Clear the mask")

    def take(path: str) -> tuple[Image.Image, dict[str, Any]]:
        with told_to_visitor("board"):
            taken = read_upload(path, limits)
        return taken, canvas(taken, None)

    upload.upload(take, upload, [picture, editor], **DECODING)
    clear.click(lambda now: canvas(now, None), picture, editor, **QUIET)
    example.click(lambda: (shipped, canvas(shipped, mask)), None, [picture, editor], **QUIET)

    def read(pipe: Any, image: Image.Image, painted: Any) -> dict[str, Any]:
        return size_like(pipe, image) | {
            "image": image,
            "mask_image": painting.mask_from(painted, image.size),
        }

    return Board((picture, editor), read)
