"""Settings of the whole process while the page is served: of gradio's files, and of Pillow."""

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def files_of_gradio_in(folder: str) -> Iterator[None]:
    """Let gradio put uploads and whatever else it writes into a folder of ours.

    An environment variable is the only way to tell it.
    """
    name = "GRADIO_TEMP_DIR"
    before = os.environ.get(name)
    os.environ[name] = folder
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


@contextmanager
def pictures_of_at_most(pixels: int) -> Iterator[None]:
    """Let Pillow refuse larger ones: gradio opens some pictures before we see them.

    Pillow warns at its limit, and refuses at twice as much.
    """
    from PIL import Image

    before = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = pixels // 2
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before
