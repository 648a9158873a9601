"""From what a visitor has painted in gradio's editor to masks and control images, and back."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageChops

from mmcache.tools.media.side_by_side import enlarged
from mmcache_demos.portraits.controlnet.edges import edge_pictures

HALF = 128  # of 255


class PaintingError(ValueError):
    """Something has to be painted first; the message says what."""


def layers_of(painted: Mapping[str, Any] | None) -> Sequence[Image.Image]:
    """What was painted upon the background, layer by layer."""
    return [layer for layer in (painted or {}).get("layers") or [] if layer is not None]


def covered(layers: Sequence[Image.Image], size: tuple[int, int]) -> Image.Image:
    """Where anything is painted: white on black, of a given (width, height).

    A pixel of the smaller picture is painted if half of its area is.
    """
    whole = Image.new("L", size, 0)
    for layer in layers:
        opaque = layer.convert("RGBA").getchannel("A").resize(size, Image.Resampling.BOX)
        whole = ImageChops.lighter(whole, opaque)
    return black_and_white(whole)


def black_and_white(picture: Image.Image) -> Image.Image:
    return picture.convert("L").point([0] * HALF + [255] * HALF)


def mask_from(painted: Mapping[str, Any] | None, size: tuple[int, int]) -> Image.Image:
    """The mask for inpainting: white is drawn anew.

    Raises:
        PaintingError: nothing is painted.
    """
    mask = covered(layers_of(painted), size)
    if mask.getextrema() == (0, 0):
        raise PaintingError(
            "Nothing is painted: paint over the part of the image that is to be generated anew."
        )
    return mask


def lines_from(painted: Mapping[str, Any] | None, size: tuple[int, int]) -> Image.Image:
    """The control image of painted lines: white on black, RGB.

    Raises:
        PaintingError: nothing is painted.
    """
    lines = covered(layers_of(painted), size)
    if lines.getextrema() == (0, 0):
        raise PaintingError("There are no lines: draw some, upload an image, or take the example's.")
    return lines.convert("RGB")


def edges_in(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The edges of a picture that is brought to a size first: white lines on black, RGB."""
    pixels = np.asarray(picture.resize(size, Image.Resampling.LANCZOS))
    return Image.fromarray(edge_pictures(pixels[None])[0])


def layer_of(mask: Image.Image, color: tuple[int, int, int], opacity: int) -> Image.Image:
    """A mask as a layer of the editor: a colour where it is white, nothing elsewhere."""
    layer = Image.new("RGBA", mask.size, (*color, 0))
    layer.putalpha(black_and_white(mask).point([0] * HALF + [opacity] * HALF))
    return layer


def on_canvas(background: Image.Image, layer: Image.Image | None) -> dict[str, Any]:
    """The editor's value, enlarged so that a finger can paint on it."""
    behind = enlarged(background).convert("RGBA")
    if layer is None:
        return {"background": behind, "layers": [], "composite": behind}
    above = enlarged(layer)
    return {"background": behind, "layers": [above], "composite": Image.alpha_composite(behind, above)}
