"""The file of one generated image or video."""

import numpy as np

from mmcache.tools.media.side_by_side import as_images, eight_bits, png
from mmcache.tools.media.video_files import video_bytes


def file_of(images: np.ndarray, fps: float) -> bytes:
    """An image (1, H, W, C) as PNG, a video (1, F, H, W, C) as mp4; in [0, 1]."""
    first = images[0]
    return video_bytes(eight_bits(first), fps) if first.ndim > 3 else png(as_images(images)[0])
