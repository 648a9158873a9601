"""Images that somebody hands over: from any kind of file to plain RGB, or refused in one sentence."""

import struct
import warnings
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS = 50_000_000  # larger than any camera's that a diffusion pipeline could use


class ImageFileError(ValueError):
    """An image cannot be used; the message says what was met, wanted, and what to do."""


def read_image(
    path: str | Path, max_pixels: int = MAX_PIXELS, formats: tuple[str, ...] | None = None
) -> Image.Image:
    """Read an image as RGB: gray and palette are converted, transparency lies on white, the camera's
    rotation is applied, and of an animation it is the first frame.

    Args:
        path: an image file.
        max_pixels: the most that are read.
        formats: Pillow's names of those that are read, for files of strangers; None for all.

    Raises:
        ImageFileError: missing, no image (of these formats), damaged, or of more pixels.
    """
    image = opened(Path(path), max_pixels, formats)
    return on_paper(image, "white")


def read_mask(path: str | Path, size: tuple[int, int], max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Read a mask as black and white: white is generated anew, black stays. Transparency counts as black.

    Args:
        path: an image file.
        size: (width, height) of the image that it belongs to.

    Raises:
        ImageFileError: it cannot be read, has another size than the image, or nothing in it is white.
    """
    mask = on_paper(opened(Path(path), max_pixels), "black").convert("L")
    if mask.size != size:
        raise ImageFileError(
            f"{path}: the mask is {mask.width}x{mask.height} and the image {size[0]}x{size[1]}; "
            f"save the mask at the size of the image"
        )
    mask = mask.point([0] * 128 + [255] * 128)
    if mask.getextrema() == (0, 0):
        raise ImageFileError(
            f"{path}: nothing in the mask is white, and only what is white is generated anew"
        )
    return mask


def opened(path: Path, max_pixels: int, formats: tuple[str, ...] | None = None) -> Image.Image:
    """The image upright, in whatever mode it was saved."""
    if not path.exists():
        raise ImageFileError(f"{path}: there is no such file")
    if not path.is_file():
        raise ImageFileError(f"{path}: is not a file, an image was wanted, such as photo.png")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower
            with Image.open(path, formats=formats) as image:
                if image.width * image.height > max_pixels:
                    raise ImageFileError(
                        f"{path}: is {image.width}x{image.height}, at most "
                        f"{max_pixels / 1e6:.3g} million pixels are read; scale it down"
                    )
                return ImageOps.exif_transpose(image)
    except UnidentifiedImageError:
        raise ImageFileError(f"{path}: is not an image; a PNG, JPEG or the like was wanted") from None
    except (OSError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError) as error:
        raise ImageFileError(
            f"{path}: the image is damaged, cut off or too large ({error}); export or download it again"
        ) from None


def on_paper(image: Image.Image, paper: str) -> Image.Image:
    """Any mode to RGB, transparency on a ground of one colour."""
    if image.mode.startswith("I"):  # 16 bits a pixel, which Pillow would clip to 8 and not scale
        image = image.convert("I").point(lambda value: value * (255 / 65535)).convert("L")
    if not image.has_transparency_data:
        return image.convert("RGB")
    ground = Image.new("RGBA", image.size, paper)
    return Image.alpha_composite(ground, image.convert("RGBA")).convert("RGB")
