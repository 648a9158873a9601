"""`compare` measures what it says it measures, and leaves the pipe as it was."""

import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

import mmcache
from mmcache.errors import MissingExtraError, PlanFileError, UnsupportedPipelineError
from mmcache.testing.probes import anatomy, failing_denoiser
from mmcache.tools.comparison.compare import compare
from mmcache.tools.comparison.comparison_table import comparison_table
from mmcache.tools.comparison.files import FILES, VIDEO_FILES
from mmcache.tools.comparison.video_comparison import VideoComparison
from mmcache.tools.media.output_folder import check_output, write_files
from mmcache.tools.media.side_by_side import Panel, amplified_difference, as_images, side_by_side
from mmcache.tools.media.video_files import read_video
from mmcache.tools.quality.metrics import Likeness, likeness
from mmcache.tools.running.peak_memory import watch_memory
from mmcache.tools.running.runner import Sampling, repeated
from tests.tiny import ddpm
from tests.tiny_prompted import controlled, inpainting, moving, prompted

pytestmark = pytest.mark.filterwarnings("ignore:.*leave little to reuse")


@pytest.fixture(scope="module")
def result():
    """Ten steps, every third one full."""
    return compare(prompted(), "a person", steps=10, interval=3, branch=0, guidance_scale=3.0)


def plain_pictures(pipe, steps=10, **call):
    pipe.set_progress_bar_config(disable=True)
    generator = torch.Generator().manual_seed(0)
    return pipe(num_inference_steps=steps, generator=generator, output_type="np", **call).images


def counted(pipe) -> list[int]:
    """Counts the calls of the denoiser."""
    calls = []
    pipe.unet.register_forward_hook(lambda *_: calls.append(1))
    return calls


def printed(comparison) -> str:
    """Its table."""
    text = io.StringIO()
    Console(file=text, width=120).print(comparison_table(comparison))
    return text.getvalue()


def called_before():
    """A pipe with the attributes that a call of its own leaves on it."""
    pipe = prompted()
    plain_pictures(pipe, prompt="a person", steps=1)
    del pipe._progress_bar_config
    return pipe


def test_psnr_and_ssim_of_a_known_difference():
    reference = np.full((1, 64, 64, 3), 0.5, dtype=np.float32)
    psnr, ssim = likeness(reference + 0.1, reference)
    assert psnr == pytest.approx(-20 * math.log10(0.1), abs=1e-4)  # mean squared error 0.01, range 1
    # Without variance, SSIM is its luminance term (2 a b + c1) / (a^2 + b^2 + c1), c1 = 0.01^2.
    assert ssim == pytest.approx((2 * 0.6 * 0.5 + 1e-4) / (0.6**2 + 0.5**2 + 1e-4), abs=1e-4)


def test_identical_pictures():
    pictures = np.random.default_rng(0).random((2, 16, 16, 3), dtype=np.float32)
    assert likeness(pictures, pictures) == (math.inf, pytest.approx(1.0))


def test_pictures_too_small_for_ssim():
    small = np.zeros((1, 10, 10, 3), dtype=np.float32)
    assert likeness(small, small).ssim is None


def test_missing_torchmetrics_is_named_before_sampling(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torchmetrics.functional.image", None)
    pipe = prompted()
    calls = counted(pipe)
    with pytest.raises(MissingExtraError, match=r'pip install "mmcache\[metrics\]"'):
        compare(pipe, "a person", steps=2)
    assert not calls


def test_full_and_cached_run_are_those_of_the_pipe_itself(result):
    call = {"prompt": "a person", "guidance_scale": 3.0}
    assert np.array_equal(result.full.images, plain_pictures(prompted(), **call))
    pipe = prompted()
    with mmcache.accelerate(pipe, interval=3, branch=0):
        assert np.array_equal(result.cached.images, plain_pictures(pipe, **call))


def test_counts(result):
    assert (result.full_steps, result.cached_steps) == (4, 6)
    assert 0 < result.macs < result.full_macs
    assert result.bytes_held > 0
    assert 0 < result.cached.denoiser_seconds < result.cached.seconds
    assert math.isfinite(result.likeness.psnr)
    assert not result.identical


def test_interval_1_is_identical_and_valid_json():
    same = compare(prompted(), "a person", steps=3, interval=1)
    assert same.identical
    report = json.loads(same.as_json())
    assert (report["identical"], report["psnr_db"]) == (True, None)
    assert report["ssim"] == pytest.approx(1.0)
    assert report["steps"] == {"full": 3, "cached": 0}
    same.sheet()


def test_report_says_what_was_done(result):
    report = json.loads(result.as_json())
    assert report["settings"]["prompt"] == "a person"
    assert report["settings"]["guidance_scale"] == 3.0
    assert report["plan"]["policy"] == {"name": "Uniform", "interval": 3}
    assert report["macs"]["ratio"] == pytest.approx(result.full_macs / result.macs)
    assert report["data_range"] == 1.0
    assert len(report["cached_run"]["denoisers"][0]["steps"]) == 10


def test_a_speed_up_that_the_macs_do_not_explain_is_not_put_on_the_picture(result):
    saved = result.full_macs / result.macs
    honest = replace(
        result, full=replace(result.full, denoiser_seconds=result.cached.denoiser_seconds * saved)
    )
    assert not honest.clock_is_doubtful
    disturbed = replace(honest, full=replace(result.full, denoiser_seconds=1e3))
    assert disturbed.clock_is_doubtful
    assert disturbed.sheet().tobytes() != honest.sheet().tobytes()


def test_macs_that_cannot_be_counted(result):
    (denoiser,) = result.report.denoisers
    steps = tuple(replace(step, macs=None, full_macs=None) for step in denoiser.steps)
    uncounted = replace(result, report=replace(result.report, denoisers=(replace(denoiser, steps=steps),)))
    assert json.loads(uncounted.as_json())["macs"] == {"full": None, "cached": None, "ratio": None}
    assert "not counted" in printed(uncounted)
    assert not uncounted.clock_is_doubtful


def test_default_guidance_scale_is_reported():
    assert compare(prompted(), "a person", steps=1).settings["guidance_scale"] == 7.5


def test_saved_files_open(result, tmp_path):
    files = result.save(tmp_path / "new" / "folder")
    assert sorted(path.name for path in files) == sorted(FILES)
    assert {path.name for path in (tmp_path / "new" / "folder").iterdir()} == set(FILES)
    assert Image.open(files[1]).size == (16, 16)
    sheet = Image.open(files[0])
    assert sheet.width > 3 * 320
    assert json.loads(files[3].read_text())["steps"] == {"full": 4, "cached": 6}
    saved = np.asarray(Image.open(files[2]), dtype=np.float32) / 255
    assert np.abs(saved - result.cached.images[0]).max() <= 0.5 / 255 + 1e-6


def test_several_prompts_make_several_rows(tmp_path):
    both = compare(prompted(), ["a person", "a hat"], steps=2)
    files = both.save(tmp_path)
    assert Image.open(files[1]).size == (16, 32)
    assert Image.open(files[0]).height > 2 * 320


def test_a_pipeline_without_a_prompt():
    result = compare(ddpm(), steps=6, interval=2)
    assert (result.full_steps, result.cached_steps) == (3, 3)
    assert result.full.images.shape == (1, 16, 16, 3)


@pytest.fixture(scope="module")
def clips():
    """Ten steps, every third one full; three frames."""
    return compare(moving(), "a person", steps=10, interval=3, branch=0, num_frames=3)


def test_clips_are_compared_frame_by_frame(clips):
    assert isinstance(clips, VideoComparison)
    assert clips.full.images.shape == (1, 3, 16, 16, 3)
    assert (clips.full_steps, clips.cached_steps) == (4, 6)
    report = json.loads(clips.as_json())
    assert report["frames"] == {"per_video": 3, "fps": 8.0}
    for figure, least in (("psnr_db_of_frames", 20), ("ssim_of_frames", 0.5), ("vmaf_of_frames", 10)):
        each = report[figure]["each"]
        assert len(each) == 3
        assert report[figure]["worst"] == min(each) > least
        assert report[figure]["mean"] == pytest.approx(sum(each) / 3)
    own = likeness(clips.cached.images[0, 1:2], clips.full.images[0, 1:2])
    assert report["psnr_db_of_frames"]["each"][1] == pytest.approx(own.psnr)


def test_clips_are_saved_as_files_that_play(clips, tmp_path):
    files = clips.save(tmp_path)
    assert [path.name for path in files] == list(VIDEO_FILES)
    read = read_video(tmp_path / "full.mp4")
    assert (read.frames.shape, read.fps) == ((3, 320, 320, 3), 8)
    shown = clips.full.images[0].repeat(20, axis=1).repeat(20, axis=2)
    assert np.abs(read.frames / 255 - shown).mean() < 0.02
    both = read_video(tmp_path / "side-by-side.mp4").frames
    assert both.shape[0] == 3
    assert both.shape[2] > 2 * 320
    assert Image.open(tmp_path / "side-by-side.png").width > 3 * 128


def test_without_vmaf_the_table_says_why(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ffmpeg_quality_metrics", None)
    clips = compare(moving(), "a person", steps=2, num_frames=2)
    assert json.loads(clips.as_json())["vmaf_of_frames"] == {"reason": clips.no_vmaf}
    said = " ".join(printed(clips).split())
    assert 'no VMAF: not installed: pip install "mmcache[video]"' in said


def test_missing_imageio_is_named_before_a_clip_is_sampled(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    pipe = moving()
    calls = counted(pipe)
    with pytest.raises(MissingExtraError, match=r'pip install "mmcache\[video\]"'):
        compare(pipe, "a person", steps=2)
    assert not calls


def test_equal_clips(clips):
    same = replace(clips, cached=clips.full, frames=[Likeness(math.inf, 1.0)] * 3)
    report = json.loads(same.as_json())
    assert report["psnr_db_of_frames"] == {"mean": None, "worst": None, "each": [None] * 3}
    assert ("PSNR to full, worst frame", "infinite (identical)") in same.likeness_rows()


def test_the_sheet_shows_what_the_pipeline_was_given():
    picture = Image.effect_noise((48, 48), 60).convert("RGB")
    mask = Image.new("L", (48, 48))
    mask.paste(255, (0, 0, 24, 48))
    result = compare(inpainting(), "a hat", steps=2, image=picture, mask_image=mask)
    assert [panel.title for panel in result.inputs] == ["input and mask"]
    (shown,) = result.inputs[0].images
    assert shown.size == (16, 16)
    left, right = np.asarray(shown)[:, :7].mean((0, 1)), np.asarray(shown)[:, 9:].mean((0, 1))
    assert left[0] - left[1] > 50 > abs(right[0] - right[1])
    assert result.sheet().width > 4 * 320
    assert result.settings["image"] == "Image"


def test_a_controlnet_is_part_of_the_figures():
    result = compare(controlled(), "a hat", steps=10, interval=5, image=Image.new("RGB", (32, 32)))
    (net,) = result.report.side_networks
    assert result.full_macs == result.report.denoisers[0].full_macs + net.full_macs
    assert (result.full_steps, result.cached_steps) == (2, 8)
    assert "MACs, together" in printed(result)
    assert [panel.title for panel in result.inputs] == ["input"]


RUNS = ((9.0, None), (1.0, 7), (2.0, 5))  # seconds and memory


def test_of_repeats_the_median_counts():
    calls = [
        Sampling(np.full(1, n), seconds, seconds / 2, memory) for n, (seconds, memory) in enumerate(RUNS)
    ]
    found = repeated(calls)
    assert (found.seconds, found.denoiser_seconds) == (2.0, 1.0)
    assert found.seconds_each == (9.0, 1.0, 2.0)
    assert found.peak_memory == 7
    assert found.images is calls[0].images
    assert repeated([replace(call, peak_memory=None) for call in calls]).peak_memory is None


def test_repeats_are_in_the_report_and_the_table():
    repeated = compare(prompted(), "a person", steps=3, repeats=2)
    report = json.loads(repeated.as_json())
    assert len(report["seconds"]["full_each"]) == len(report["seconds"]["cached_each"]) == 2
    assert "the median of 2 runs each" in report["timing"]
    assert "lowest to highest" in printed(repeated)


def test_what_every_component_takes(result):
    assert set(result.components) == {"unet", "text_encoder", "vae"}
    assert result.components["unet"] == {"full": result.full_macs, "cached": result.macs}
    rest = result.components["vae"]["full"] + result.components["text_encoder"]["full"]
    assert result.total_macs == {"full": result.full_macs + rest, "cached": result.macs + rest}
    report = json.loads(result.as_json())
    assert report["macs_of_all_components"]["ratio"] < report["macs"]["ratio"]
    assert report["macs_by_component"]["vae"]["ratio"] == 1
    for words in ("MACs, vae", "MACs, text_encoder", "MACs, all components"):
        assert words in printed(result)


def test_memory_in_use_is_that_of_the_run():
    peak = watch_memory(torch.device("cpu"))
    if peak() is None:
        pytest.skip("this system does not tell the memory of a process")
    before = peak()
    held = np.ones(2**24)  # 128 MiB
    assert peak() - before > 0.8 * held.nbytes
    del held
    assert peak() - before > 0.8 * 2**27  # a peak stays
    assert watch_memory(torch.device("cpu"))() - before < 0.5 * 2**27  # until it is watched anew
    assert watch_memory(torch.device("meta"))() is None


def test_a_plan_with_a_branch_per_step():
    plan = mmcache.Plan(mmcache.Uniform(3), branch=[0, 0, 1, 0, 0, 1, 0, 0, 1, 0])
    result = compare(prompted(), "a person", plan, steps=10)
    assert [step.branch for step in result.report.denoisers[0].steps][:4] == [None, 0, 1, None]


@pytest.mark.parametrize("bar", [None, {"desc": "mine"}])
def test_the_pipe_is_what_it_was(bar):
    pipe = called_before()
    if bar is not None:
        pipe.set_progress_bar_config(**bar)
    before = anatomy(pipe)
    compare(pipe, "a person", steps=3)
    assert anatomy(pipe) == before
    assert vars(pipe).get("_progress_bar_config") == bar


@pytest.mark.parametrize("error", [RuntimeError("broken"), KeyboardInterrupt()])
@pytest.mark.parametrize("call", [1, 2 + 1, 2 + 4 + 1, 2 + 4 + 4 + 2])
def test_the_pipe_is_what_it_was_after_an_exception(error, call):
    pipe = called_before()
    before = anatomy(pipe)
    with failing_denoiser(pipe, call, error), pytest.raises(type(error)):
        compare(pipe, "a person", steps=4)
    assert anatomy(pipe) == before


def wrong(exception, message, prompt="a person", plan=None, **options):
    return pytest.param(exception, message, prompt, plan, options, id=message)


@pytest.mark.parametrize(
    ("exception", "message", "prompt", "plan", "options"),
    [
        wrong(ValueError, "list of prompts is empty", prompt=[]),
        wrong(ValueError, "prompt is empty", prompt=""),
        wrong(ValueError, "prompt is empty", prompt=["a person", " "]),
        wrong(ValueError, "needs a prompt", prompt=None),
        wrong(ValueError, "steps=0", steps=0),
        wrong(ValueError, "steps=2.5", steps=2.5),
        wrong(ValueError, "repeats=0", repeats=0),
        wrong(ValueError, "seed=-1", seed=-1),
        wrong(ValueError, "Did you mean 'guidance_rescale'", guidance_resale=0.5),
        wrong(ValueError, "give seed", generator=torch.Generator()),
        wrong(ValueError, "interval must be", interval=0),
        wrong(ValueError, "has 4 branches", branch=4),
        wrong(PlanFileError, "unknown preset", plan="no-such-preset"),
        wrong(PlanFileError, "no such plan file", plan="no-such.yaml"),
    ],
)
def test_bad_input_is_refused_before_sampling(exception, message, prompt, plan, options):
    pipe = prompted()
    calls = counted(pipe)
    before = anatomy(pipe)
    with pytest.raises(exception, match=message):
        compare(pipe, prompt, plan, **options)
    assert not calls
    assert anatomy(pipe) == before


def test_an_accelerated_pipe_is_refused_and_stays_accelerated():
    pipe = prompted()
    session = mmcache.accelerate(pipe, interval=2)
    with pytest.raises(ValueError, match="already accelerated"):
        compare(pipe, "a person", steps=2)
    assert session.active


def test_something_else_is_no_pipe():
    with pytest.raises(UnsupportedPipelineError):
        compare(object(), "a person")
    with pytest.raises(UnsupportedPipelineError, match="whole pipeline"):
        compare(prompted().unet, "a person")


def test_pictures_that_are_no_numbers_are_refused():
    pipe = prompted()
    torch.nn.init.constant_(pipe.vae.decoder.conv_out.bias, math.nan)
    with pytest.raises(ValueError, match="not finite"):
        compare(pipe, "a person", steps=2)


@pytest.mark.parametrize("in_the_way", ["file", "file/below", "/proc/mmcache", "n" * 300])
def test_output_that_cannot_be_written(tmp_path, in_the_way):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="nothing can be written"):
        check_output(tmp_path / in_the_way)


def test_a_folder_where_a_file_is_to_be_written(tmp_path):
    (tmp_path / "full.png").mkdir()
    with pytest.raises(OSError, match=r"full\.png"):
        check_output(tmp_path, FILES)


def test_checking_the_output_leaves_no_trace(tmp_path):
    check_output(tmp_path / "a" / "b")
    assert not list(tmp_path.iterdir())


def test_files_are_written_all_or_none(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "b").mkdir()  # so that writing b fails, after a
    with pytest.raises(OSError, match=r"b: is a folder"):
        write_files(tmp_path, {"a": b"new", "b": b"new"})
    assert (tmp_path / "a").read_bytes() == b"old"
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def test_the_difference_is_amplified_by_a_round_scale_that_fits():
    dark = np.zeros((1, 8, 8, 3))
    difference, scale = amplified_difference(dark + 0.04, dark)
    assert scale == 20
    assert difference.max() == pytest.approx(0.8)
    assert amplified_difference(dark, dark)[0].max() == 0


def test_small_pictures_are_enlarged_pixel_for_pixel_and_gray_ones_shown():
    gray = as_images(np.linspace(0, 1, 64).reshape(1, 8, 8, 1))
    sheet = side_by_side([Panel("a title", "far too many words for so small a picture " * 3, gray)])
    assert sheet.size == (320 + 2 * 16, sheet.height)
    enlarged = np.asarray(sheet)[-16 - 320 : -16, 16:-16]
    assert np.array_equal(enlarged[::40, ::40], np.asarray(gray[0]))
    assert np.array_equal(enlarged[39::40, 39::40], np.asarray(gray[0]))
