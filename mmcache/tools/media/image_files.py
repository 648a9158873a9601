"""Pictures that somebody hands over: from any kind of file to plain RGB, or refused in one sentence."""

import struct
import warnings
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = 50_000_000  # larger than any camera's that a diffusion pipeline could use


class PictureFileError(ValueError):
    """A picture cannot be used; the message says what was met, wanted, and what to do."""


def read_picture(
    path: str | Path, max_pixels: int = MAX_PIXELS, formats: tuple[str, ...] | None = None
) -> Image.Image:
    """Read a picture as RGB: gray and palette are converted, transparency lies on white, the camera's
    rotation is applied, and of an animation it is the first frame.

    Args:
        path: a picture file.
        max_pixels: the most that are read.
        formats: Pillow's names of those that are read, for files of strangers; None for all.

    Raises:
        PictureFileError: missing, no picture (of these formats), damaged, or of more pixels.
    """
    picture = opened(Path(path), max_pixels, formats)
    return on_paper(picture, "white")


def read_mask(path: str | Path, size: tuple[int, int], max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Read a mask as black and white: white is drawn anew, black stays. Transparency counts as black.

    Args:
        path: a picture file.
        size: (width, height) of the picture that it belongs to.

    Raises:
        PictureFileError: it cannot be read, has another size than the picture, or nothing in it is white.
    """
    mask = on_paper(opened(Path(path), max_pixels), "black").convert("L")
    if mask.size != size:
        raise PictureFileError(
            f"{path}: the mask is {mask.width}x{mask.height} and the picture {size[0]}x{size[1]}; "
            f"save the mask at the size of the picture"
        )
    mask = mask.point([0] * 128 + [255] * 128)
    if mask.getextrema() == (0, 0):
        raise PictureFileError(f"{path}: nothing in the mask is white, and only what is white is drawn anew")
    return mask


def opened(path: Path, max_pixels: int, formats: tuple[str, ...] | None = None) -> Image.Image:
    """The picture upright, in whatever mode it was saved."""
    if not path.exists():
        raise PictureFileError(f"{path}: there is no such file")
    if not path.is_file():
        raise PictureFileError(f"{path}: is not a file, a picture was wanted, such as photo.png")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower
            with Image.open(path, formats=formats) as picture:
                if picture.width * picture.height > max_pixels:
                    raise PictureFileError(
                        f"{path}: is {picture.width}x{picture.height}, at most "
                        f"{max_pixels / 1e6:.3g} million pixels are read; scale it down"
                    )
                return ImageOps.exif_transpose(picture)
    except UnidentifiedImageError:
        raise PictureFileError(f"{path}: is not a picture; a PNG, JPEG or the like was wanted") from None
    except (OSError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError) as error:
        raise PictureFileError(
            f"{path}: the picture is damaged, cut off or too large ({error}); export or download it again"
        ) from None


def on_paper(picture: Image.Image, paper: str) -> Image.Image:
    """Any mode to RGB, transparency on a ground of one colour."""
    if picture.mode.startswith("I"):  # 16 bits a pixel, which Pillow would clip to 8 and not scale
        picture = picture.convert("I").point(lambda value: value * (255 / 65535)).convert("L")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    ground = Image.new("RGBA", picture.size, paper)
    return Image.alpha_composite(ground, picture.convert("RGBA")).convert("RGB")
