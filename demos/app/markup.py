"""HTML from plain values. Whatever a visitor (or a link) has written is text in it, never markup."""

from base64 import b64encode
from collections.abc import Iterable
from html import escape
from pathlib import Path
from urllib.parse import quote

from PIL import Image

from mmcache.tools.media.side_by_side import png

SERVED = "gradio_api/file="  # below the page's own address, so that it holds behind a proxy too


def text(value: object) -> str:
    """As text, also within the quotes of an attribute."""
    return escape(str(value), quote=True)


def join(parts: Iterable[str]) -> str:
    return "".join(parts)


def address(file: Path) -> str:
    """Where the page finds a file of its visitor."""
    return text(SERVED + quote(str(file)))


def inline(picture: Image.Image) -> str:
    """A small picture as an address that holds it."""
    return "data:image/png;base64," + b64encode(png(picture)).decode()
