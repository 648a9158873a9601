"""The board of clips: a picture to begin with, for models that make one move (Stable Video Diffusion)."""

from typing import Any

import gradio as gr
from PIL import Image

from mmcache.tools.running.call_settings import has_argument
from mmcache.tools.tasks.task_inputs import size_like
from mmcache_demos.app.board import DECODING, Board
from mmcache_demos.app.limits import Limits
from mmcache_demos.app.markup import inline
from mmcache_demos.app.messages import told_to_visitor
from mmcache_demos.app.uploads import read_upload

SHOWN = 96  # pixels of the longer side


class PictureMissingError(ValueError):
    """The model begins with a picture, and there is none."""


def first_picture_board(limits: Limits) -> Board:
    """Build it where it is called for."""
    picture = gr.State(None)
    upload = gr.UploadButton("Image to begin with", file_types=["image"], size="sm")
    shown = gr.HTML(
        '<p class="mm-plan">Only for models that make an image move.</p>',
        apply_default_css=False,
        elem_classes="mm-board",
    )

    def take(path: str) -> tuple[Image.Image, str]:
        with told_to_visitor("board"):
            taken = read_upload(path, limits)
        small = taken.copy()
        small.thumbnail((SHOWN, SHOWN))
        return taken, f'<img src="{inline(small)}" alt="The image to begin with">'

    upload.upload(take, upload, [picture, shown], **DECODING)
    return Board((picture,), read)


def read(pipe: Any, image: Image.Image | None) -> dict[str, Any]:
    """The picture, for pipelines that take one.

    Raises:
        PictureMissingError: there is none.
    """
    if not has_argument(pipe, "image"):
        return {}
    if image is None:
        raise PictureMissingError("This model makes an image move: upload one to begin with.")
    return size_like(pipe, image) | {"image": image}
