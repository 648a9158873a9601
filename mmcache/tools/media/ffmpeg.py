"""What the ffmpeg that comes with imageio does for us: encode videos, and tell whether a file decodes."""

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mmcache.errors import MissingExtraError

CHECK_SECONDS = 120  # a file within the limits is decoded in less, even on one core
# x264's constant rate factor: above 18 a trained eye sees a difference. Colours at half the resolution are
# what all players take.
PLAYABLE = {
    "codec": "libx264",
    "pixelformat": "yuv420p",
    "output_params": ["-crf", "12", "-movflags", "+faststart"],
}
LOSSLESS = {"codec": "ffv1", "pixelformat": "yuv444p"}


class VideoFileError(ValueError):
    """A video cannot be read or written; the message says what was met, wanted, and what to do."""


def check_decodes(path: Path, most_frames: int = 10**9, most_pixels: int = 2**31 - 1) -> None:
    """Let ffmpeg decode the file into nothing; it stops at the first damage, and one frame past the limit.

    Raises:
        VideoFileError: it is no video, damaged, or its frames are too large.
    """
    quiet = ["-nostdin", "-v", "error", "-xerror", "-err_detect", "explode"]
    bounded = ["-max_pixels", str(most_pixels), "-i", str(path), "-frames:v", str(most_frames + 1)]
    to_nothing = ["-map", "0:v:0", "-fps_mode", "passthrough", "-f", "null", "-"]
    command = [require_ffmpeg(), *quiet, *bounded, *to_nothing]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=CHECK_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise VideoFileError(
            f"{path}: was not decoded within {CHECK_SECONDS} seconds; cut it shorter or smaller"
        ) from None
    if "max pixel" in done.stderr:
        raise VideoFileError(
            f"{path}: its frames have more than {most_pixels} pixels; scale it down, or raise the limit "
            f"with Limits(pixels=...)"
        )
    if done.returncode or done.stderr.strip():
        raise VideoFileError(
            f"{path}: is not a video, or is damaged or cut off ({lines_of(done.stderr)[0]}); an mp4, webm, "
            f"mkv, mov, avi or gif was wanted. Export or download it again."
        )


def encode(file: Path, frames: Iterable[np.ndarray], fps: float, **codec: Any) -> Path:
    """Let imageio's ffmpeg write a file.

    Raises:
        VideoFileError: it failed.
        MissingExtraError: it is not installed.
    """
    require_ffmpeg()
    import imageio.v2 as imageio

    # Without the block size, imageio would stretch the frames to multiples of 16. It does not look whether
    # ffmpeg has failed at the end, so the file is decoded once.
    options: Any = {"fps": fps, "macro_block_size": 1, "ffmpeg_log_level": "quiet"} | codec
    try:
        with imageio.get_writer(file, **options) as opened:
            writer: Any = opened
            for frame in frames:
                writer.append_data(frame)
        check_decodes(file)
    except (OSError, VideoFileError):
        raise VideoFileError(
            f"ffmpeg could not write {file.name}; is there room left in {file.parent}?"
        ) from None
    return file


def require_ffmpeg() -> str:
    """The path of the ffmpeg that came with imageio.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import imageio
        import imageio_ffmpeg
    except ImportError:
        raise MissingExtraError(missing("imageio with its ffmpeg", "videos")) from None
    del imageio
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def missing(package: str, purpose: str) -> str:
    return f'{purpose} need {package}, which is not installed: pip install "mmcache[video]"'


def lines_of(text: str) -> list[str]:
    """What a decoder said, without the addresses of its objects."""
    lines = (line.rpartition("] ")[2].strip()[:160] for line in text.splitlines())
    return [line for line in lines if line] or ["it gave no reason"]
