"""The demo's uploads: read if they are what they claim, and what becomes of what was painted."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mmcache.tools.media.image_files import ImageFileError
from mmcache_demos.app import painting
from mmcache_demos.app.uploads import read_upload
from tests.demo_orders import LIMITS

pytest.importorskip("gradio")


def bomb(side):
    """A small PNG that says it is large."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>'
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"


@pytest.mark.parametrize(
    ("words", "name", "content"),
    [
        ("is not an image", "text.png", b"I am not a picture"),
        ("is not an image", "drawing.svg", SVG),
        ("is not an image", "drawing.png", SVG),
        ("is not an image", "printed.png", EPS),
        ("is not an image", "clip.mp4", b"\x00\x00\x00\x18ftypmp42" + bytes(2000)),
        ("is not an image", "empty.png", b""),
        ("is 5000x5000, at most 16 million pixels", "large.png", bomb(5000)),
        ("damaged, cut off or too large", "bomb.png", bomb(60000)),
        ("damaged, cut off or too large", "cut.png", bomb(64)),
        ("upload bytes", "heavy.png", bytes(LIMITS.upload_bytes + 1)),
    ],
)
def test_uploads_that_are_not_what_they_claim(words, name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageFileError, match=words) as refused:
        read_upload(tmp_path / name, LIMITS)
    assert str(tmp_path) not in str(refused.value), "where the server keeps files is nobody's business"


def test_a_picture_20000_pixels_wide(tmp_path):
    Image.new("RGB", (20_000, 40)).save(tmp_path / "wide.png")
    with pytest.raises(ImageFileError, match="is 20000x40; at most 4 times as long as narrow"):
        read_upload(tmp_path / "wide.png", LIMITS)


@pytest.mark.parametrize("name", ["photo.png", "photo.jpg", "photo.webp", "photo.bmp", "photo.gif"])
def test_pictures_are_taken(name, tmp_path):
    Image.new("RGB", (40, 30), "red").save(tmp_path / name)
    assert read_upload(tmp_path / name, LIMITS).size == (40, 30)


def test_masks_and_lines_come_from_what_was_painted():
    mask = Image.new("L", (64, 64), 0)
    mask.paste(255, (10, 10, 30, 20))
    painted = painting.on_canvas(Image.new("RGB", (64, 64), "gray"), painting.layer_of(mask, (1, 2, 3), 170))
    assert painted["layers"][0].size == (320, 320)
    assert np.array_equal(painting.mask_from(painted, (64, 64)), mask)
    assert np.array_equal(np.asarray(painting.lines_from(painted, (64, 64)))[..., 0], mask)
    nothing = painting.on_canvas(Image.new("RGB", (64, 64)), None)
    with pytest.raises(painting.PaintingError, match="Nothing is painted"):
        painting.mask_from(nothing, (64, 64))
    with pytest.raises(painting.PaintingError, match="There are no lines"):
        painting.lines_from(None, (64, 64))
