"""Pictures that strangers upload: read if they are what they claim and not too large, else refused."""

from pathlib import Path

from PIL import Image

from mmcache.tools.media.image_files import ImageFileError, read_image
from mmcache.tools.tasks.task_inputs import check_shape
from mmcache_demos.app.limits import Limits

# Pillow reads dozens of formats, some with the help of other programs; nobody uploads those by mistake.
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF")


def read_upload(path: str | Path, limits: Limits) -> Image.Image:
    """Read an uploaded picture as RGB.

    Raises:
        ImageFileError: no picture of these formats, damaged, too long for its width, or too large; the
            message names the file as its owner does, not where the server has put it.
    """
    path = Path(path)
    try:
        limits.check("upload_bytes", path.stat().st_size)
        picture = read_image(path, limits.upload_pixels, FORMATS)
        check_shape(path, picture)
    except ValueError as error:
        raise ImageFileError(str(error).replace(str(path), path.name)) from None
    return picture
