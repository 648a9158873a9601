"""Videos from and to files: read with decord, written with imageio (mp4 through its ffmpeg, or gif)."""

import math
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmcache.errors import MissingExtraError
from mmcache.tools.media.ffmpeg import (
    PLAYABLE,
    VideoFileError,
    check_decodes,
    encode,
    lines_of,
    missing,
    require_ffmpeg,
)
from mmcache.tools.media.output_folder import check_output, write_files

FORMATS = (".mp4", ".gif")
MOST_FPS = 240


class Video(NamedTuple):
    """Frames (F, H, W, 3), uint8, RGB, and how many of them make a second."""

    frames: np.ndarray
    fps: float


@dataclass(frozen=True)
class Limits:
    """How large a video may be that somebody hands over.

    Attributes:
        frames: the most of them.
        pixels: the most of all frames together; 2**28 are 129 frames of 1920x1080, 0.8 GB in memory.
        file_bytes: the most on disk.
    """

    frames: int = 1000
    pixels: int = 2**28
    file_bytes: int = 2**30

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"Limits({field.name}={value!r}): must be a whole number of at least 1")

    def check(self, path: Path, **found: int) -> None:
        """Refuse what is larger, by the name of the limit.

        Raises:
            VideoFileError: it is.
        """
        for name, value in found.items():
            most = getattr(self, name)
            if value > most:
                raise VideoFileError(
                    f"{path}: has {value} {name.replace('_', ' ')}, at most {most} are read: cut it shorter "
                    f"or smaller, or raise the limit with Limits({name}=...)"
                )


LIMITS = Limits()


def read_video(path: str | Path, limits: Limits = LIMITS) -> Video:
    """Read a whole video: mp4, webm, mkv, mov, avi or gif.

    The file is decoded once by a separate ffmpeg beforehand, so that damage is found and not guessed over.

    Raises:
        VideoFileError: missing, empty, no video, damaged or cut off, or larger than the limits.
        MissingExtraError: decord or imageio's ffmpeg is not installed.
    """
    path = Path(path)
    decord = require_decord()
    if not path.exists():
        raise VideoFileError(f"{path}: there is no such file")
    if not path.is_file():
        raise VideoFileError(f"{path}: is not a file, a video was wanted, such as video.mp4")
    if not path.stat().st_size:
        raise VideoFileError(f"{path}: is empty, a video was wanted; export or download it again")
    limits.check(path, file_bytes=path.stat().st_size)
    check_decodes(path, limits.frames, limits.pixels)
    try:
        reader = decord.VideoReader(str(path), num_threads=1)
        limits.check(path, frames=len(reader))
        limits.check(path, pixels=len(reader) * math.prod(reader[0].shape[:2]))
        frames = reader.get_batch(range(len(reader))).asnumpy()
        fps = float(reader.get_avg_fps())
    except (RuntimeError, decord.DECORDError) as error:
        raise VideoFileError(not_readable(path, lines_of(str(error))[-1])) from None
    if frames.ndim != 4 or frames.shape[-1] != 3 or not 0 < fps < math.inf:
        raise VideoFileError(not_readable(path, f"it gives {frames.shape[1:]} at {fps} per second"))
    return Video(frames, fps)


def not_readable(path: Path, reason: str) -> str:
    """What decord cannot do with a file that ffmpeg decodes, and the way round."""
    return (
        f"{path}: decord cannot read it ({reason}). It wants a video, not a single image, of at least 16 "
        f"pixels; one that was filmed on its side is put upright by: ffmpeg -i {path.name} upright.mp4"
    )


def write_video(path: str | Path, frames: np.ndarray, fps: float = 8) -> Path:
    """Write a video as .mp4 or .gif, whole or not at all.

    Args:
        path: ends in .mp4 or .gif; missing folders are made.
        frames: (F, H, W, 3), uint8, RGB, of any size. An odd width or height becomes even in an mp4: its last
            column or row is doubled, since players want colours at half the resolution.
        fps: frames per second; a gif keeps it to the nearest hundredth of a second per frame, and joins
            frames that are equal.

    Raises:
        VideoFileError: frames, fps or the ending are not those of a video, or ffmpeg failed.
        OSError: nothing can be written there.
        MissingExtraError: imageio is not installed.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise VideoFileError(f"{path}: the ending {path.suffix!r} is not one of {', '.join(FORMATS)}")
    check_output(path.parent, (path.name,))
    (written,) = write_files(path.parent, {path.name: video_bytes(frames, fps, path.suffix.lower())})
    return written


def video_bytes(frames: np.ndarray, fps: float = 8, suffix: str = ".mp4") -> bytes:
    """The contents of a video file, as `write_video` writes them."""
    frames = np.asarray(frames)
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or not frames.size:
        raise VideoFileError(
            f"a video is at least one frame, (F, H, W, 3), uint8; these are {frames.shape}, {frames.dtype}"
        )
    if not 0 < fps <= MOST_FPS:
        raise VideoFileError(f"fps={fps!r}: frames per second must be above 0 and at most {MOST_FPS}")
    if suffix == ".gif":
        return gif_bytes(frames, fps)
    with tempfile.TemporaryDirectory() as folder:
        return encode(Path(folder, "video.mp4"), even(frames), fps, **PLAYABLE).read_bytes()


def gif_bytes(frames: np.ndarray, fps: float) -> bytes:
    require_ffmpeg()
    import imageio.v2 as imageio

    milliseconds: Any = {"duration": 1000 / fps, "loop": 0}
    return bytes(imageio.mimwrite("<bytes>", list(frames), format="gif", **milliseconds))  # type: ignore[arg-type]


def even(frames: np.ndarray) -> np.ndarray:
    """Frames of even height and width: a last odd row or column is doubled."""
    _, height, width, _ = frames.shape
    return np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def require_decord() -> Any:
    """The package that reads.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import decord
    except ImportError:
        raise MissingExtraError(missing("decord2", "reading videos")) from None
    return decord
