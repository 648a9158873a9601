"""Clips and pictures from and to files: what is whole is read as it is, the rest refused in one sentence."""

import subprocess

import numpy as np
import pytest
from PIL import Image

from mmcache.errors import MissingExtraError
from mmcache.tools.media.ffmpeg import require_ffmpeg
from mmcache.tools.media.image_files import ImageFileError, read_image, read_mask
from mmcache.tools.media.video_files import (
    Limits,
    VideoFileError,
    read_video,
    video_bytes,
    write_video,
)
from mmcache.tools.quality.vmaf import VmafUnavailableError, vmaf

QUIET = ("-nostdin", "-v", "error")


def sample_clip(file, size="64x64", frames=6, *options):
    """A clip of ffmpeg's own test picture."""
    source = ["-f", "lavfi", "-i", f"testsrc=size={size}:rate=8", "-frames:v", str(frames)]
    subprocess.run(
        [require_ffmpeg(), "-nostdin", "-v", "error", "-y", *source, *options, str(file)], check=True
    )
    return file


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """64x64, six frames; its index stands in front, as in files for the web."""
    return sample_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", "64x64", 6, "-movflags", "+faststart")


@pytest.mark.parametrize(
    ("name", "size", "options"),
    [
        ("clip.webm", "64x64", ()),
        ("clip.gif", "64x64", ()),
        ("odd.mp4", "63x41", ("-pix_fmt", "yuv444p")),
        ("ten-bit.mp4", "64x64", ("-pix_fmt", "yuv420p10le")),
    ],
)
def test_clips_are_read_at_their_size(tmp_path, name, size, options):
    frames, fps = read_video(sample_clip(tmp_path / name, size, 5, *options))
    width, height = map(int, size.split("x"))
    assert frames.shape == (5, height, width, 3)
    assert frames.dtype == np.uint8
    assert fps == pytest.approx(8, abs=0.5)


@pytest.mark.parametrize("size", [(64, 64), (41, 63), (2, 2), (240, 320)])
def test_what_is_written_is_read_back(tmp_path, clip, size):
    height, width = size
    frames = np.resize(read_video(clip).frames, (6, 64, 64, 3)).repeat(5, axis=1).repeat(5, axis=2)
    frames = np.ascontiguousarray(frames[:, :height, :width])
    file = write_video(tmp_path / "new" / "clip.mp4", frames, fps=12)
    assert [path.name for path in file.parent.iterdir()] == ["clip.mp4"]
    if min(size) >= 16:  # decord reads nothing smaller
        read = read_video(file)
        assert read.fps == 12
        assert read.frames.shape == (6, height + height % 2, width + width % 2, 3)
        assert np.abs(read.frames[:, :height, :width].astype(int) - frames).mean() < 8


def test_a_gif_is_written(tmp_path, clip):
    frames = read_video(clip).frames
    read = read_video(write_video(tmp_path / "clip.gif", frames))
    assert np.abs(read.frames.astype(int) - frames).mean() < 3


def damaged(message, contents):
    return pytest.param(message, contents, id=message)


@pytest.mark.parametrize(
    ("message", "contents"),
    [
        damaged("is empty", lambda whole: b""),
        damaged("is not a video, or is damaged", lambda whole: b"just words\n" * 99),
        damaged("or is damaged or cut off", lambda whole: whole[: len(whole) // 2]),
        damaged("damaged", lambda whole: whole[:-1500] + bytes(500) + whole[-1000:]),
        damaged("damaged or cut off", lambda whole: whole[:40]),
    ],
)
def test_damaged_clips_are_refused(tmp_path, capfd, clip, message, contents):
    file = tmp_path / "clip.mp4"
    file.write_bytes(contents(clip.read_bytes()))
    with pytest.raises(VideoFileError, match=message):
        read_video(file)
    assert capfd.readouterr() == ("", "")


def test_what_is_no_clip_is_refused(tmp_path):
    with pytest.raises(VideoFileError, match="no such file"):
        read_video(tmp_path / "nothing.mp4")
    with pytest.raises(VideoFileError, match="is not a file"):
        read_video(tmp_path)
    Image.new("RGB", (64, 64)).save(tmp_path / "still.png")
    with pytest.raises(VideoFileError, match="not a single image"):
        read_video(tmp_path / "still.png")


def test_what_was_filmed_on_its_side_is_read_upright_or_refused(tmp_path):
    """Some builds of decord cannot read it; others turn it."""
    plain = sample_clip(tmp_path / "plain.mp4", "64x32")
    ffmpeg = [require_ffmpeg(), *QUIET, "-display_rotation", "90", "-i", str(plain)]
    subprocess.run([*ffmpeg, "-c", "copy", str(tmp_path / "turned.mp4")], check=True)
    found = reason = None
    try:
        found = read_video(tmp_path / "turned.mp4").frames
    except VideoFileError as error:
        reason = str(error)
    if found is None:
        assert "ffmpeg -i turned.mp4 upright.mp4" in reason
        return
    wanted = np.rot90(read_video(plain).frames, axes=(1, 2)).astype(float)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).mean() < 8  # colours are stored for two pixels at once


@pytest.mark.parametrize("limits", [{"frames": 5}, {"pixels": 64 * 64}, {"pixels": 64}, {"file_bytes": 100}])
def test_limits_are_said_and_can_be_raised(clip, limits):
    (name,) = limits
    with pytest.raises(VideoFileError, match=rf"Limits\({name}=\.\.\.\)"):
        read_video(clip, Limits(**limits))
    with pytest.raises(ValueError, match=rf"Limits\({name}=0\)"):
        Limits(**{name: 0})


@pytest.mark.parametrize(
    ("message", "frames", "fps"),
    [
        ("at least one frame", np.zeros((0, 4, 4, 3), np.uint8), 8),
        ("uint8", np.zeros((1, 4, 4, 3)), 8),
        (r"\(F, H, W, 3\)", np.zeros((1, 4, 4), np.uint8), 8),
        ("fps=0", np.zeros((1, 4, 4, 3), np.uint8), 0),
        ("fps=nan", np.zeros((1, 4, 4, 3), np.uint8), float("nan")),
    ],
)
def test_what_cannot_be_written_leaves_nothing(tmp_path, message, frames, fps):
    with pytest.raises(VideoFileError, match=message):
        write_video(tmp_path / "clip.mp4", frames, fps)
    assert not list(tmp_path.iterdir())


def test_a_failing_encoder_leaves_the_old_file(tmp_path, monkeypatch):
    (tmp_path / "clip.mp4").write_bytes(b"old")
    monkeypatch.setattr("mmcache.tools.media.video_files.PLAYABLE", {"codec": "no-such-codec"})
    with pytest.raises(VideoFileError, match="could not write"):
        write_video(tmp_path / "clip.mp4", np.zeros((4, 64, 64, 3), np.uint8))
    assert (tmp_path / "clip.mp4").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("missing", ["decord", "imageio_ffmpeg"])
def test_missing_packages_are_named(monkeypatch, clip, missing):
    monkeypatch.setitem(__import__("sys").modules, missing, None)
    with pytest.raises(MissingExtraError, match=r'pip install "mmcache\[video\]"'):
        read_video(clip)


def test_the_ending_says_the_format(tmp_path):
    with pytest.raises(VideoFileError, match=r"'\.avi' is not one of \.mp4, \.gif"):
        write_video(tmp_path / "clip.avi", np.zeros((1, 4, 4, 3), np.uint8))
    assert video_bytes(np.zeros((1, 4, 4, 3), np.uint8), suffix=".gif").startswith(b"GIF8")


def test_vmaf_tells_equal_from_different(clip):
    frames = read_video(clip).frames[:3]
    noise = np.random.default_rng(0).normal(0, 20, frames.shape)
    same, other = vmaf(frames, frames), vmaf((frames + noise).clip(0, 255).astype(np.uint8), frames)
    assert same.enlarged == 5
    assert len(same.frames) == 3
    assert same.worst > 95
    assert other.mean < 80


def test_without_its_tool_there_is_no_vmaf_but_a_reason(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ffmpeg_quality_metrics", None)
    with pytest.raises(VmafUnavailableError, match="not installed"):
        vmaf(np.zeros((1, 8, 8, 3), np.uint8), np.zeros((1, 8, 8, 3), np.uint8))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA", "1", "I;16", "CMYK"])
def test_pictures_of_every_mode_become_rgb(tmp_path, mode):
    gray = Image.new("L", (8, 6), 128)
    picture = Image.fromarray(np.full((6, 8), 128 * 257, np.uint16)) if mode == "I;16" else gray.convert(mode)
    file = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    picture.save(file)
    read = read_image(file)
    assert (read.mode, read.size) == ("RGB", (8, 6))
    if mode != "1":
        assert abs(read.getpixel((0, 0))[0] - 128) <= 1


def test_transparency_lies_on_white_and_a_photograph_is_upright(tmp_path):
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_image(tmp_path / "clear.png").getpixel((0, 0)) == (255, 255, 255)
    exif = Image.Exif()
    exif[0x0112] = 6  # lying on its side
    Image.new("RGB", (8, 4)).save(tmp_path / "photo.jpg", exif=exif)
    assert read_image(tmp_path / "photo.jpg").size == (4, 8)


def test_pictures_that_cannot_be_used(tmp_path):
    (tmp_path / "text.png").write_text("just words")
    Image.effect_noise((64, 64), 50).save(tmp_path / "whole.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "whole.png").read_bytes()[:900])
    for name, message in (
        ("text.png", "is not an image"),
        ("cut.png", "damaged"),
        ("no.png", "no such file"),
        (".", "is not a file"),
    ):
        with pytest.raises(ImageFileError, match=message):
            read_image(tmp_path / name)
    with pytest.raises(ImageFileError, match="64x64, at most"):
        read_image(tmp_path / "whole.png", max_pixels=100)


def test_masks_are_black_and_white_and_of_the_picture_s_size(tmp_path):
    mask = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    mask.paste((250, 250, 250, 255), (0, 0, 4, 8))
    mask.save(tmp_path / "mask.png")
    read = read_mask(tmp_path / "mask.png", (8, 8))
    assert read.mode == "L"
    assert read.getcolors() == [(32, 0), (32, 255)]
    with pytest.raises(ImageFileError, match="mask is 8x8 and the image 9x8"):
        read_mask(tmp_path / "mask.png", (9, 8))
    Image.new("L", (8, 8), 100).save(tmp_path / "black.png")
    with pytest.raises(ImageFileError, match="nothing in the mask is white"):
        read_mask(tmp_path / "black.png", (8, 8))
