"""The command line: what it writes and prints, and one plain line for each bad input."""

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import mmcache
import mmcache_demos
from mmcache.cli import app
from mmcache.cli.demos_package import require_demos
from mmcache.cli.request import GenerationRequest
from mmcache.testing.probes import failing_denoiser
from mmcache.tools.comparison.files import FILES, VIDEO_FILES
from mmcache.tools.media.ffmpeg import check_decodes
from tests.tiny import ddpm
from tests.tiny_prompted import controlled, controlnet, inpainting, motion_adapter, moving, prompted

SHORT = ["--steps", "4"]


pytestmark = pytest.mark.usefixtures("elsewhere")


@pytest.fixture
def loaded(monkeypatch):
    """A pipe in the place of every miniature; `calls` counts its denoiser's."""

    def load(pipe):
        calls = []
        pipe.unet.register_forward_hook(lambda *_: calls.append(1))
        monkeypatch.setattr(mmcache_demos, "load_miniature", lambda _: pipe)
        return calls

    return load


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_compare_writes_its_files_and_prints_the_figures(folder, elsewhere):
    done = run("compare", "a person", "--model", folder, *SHORT)
    assert done.exit_code == 0, done.output
    assert {path.name for path in (elsewhere / "mmcache-out").iterdir()} == set(FILES)
    for words in ("whole call", "MACs", "full steps", "cached steps", "PSNR", "SSIM", "data range", *FILES):
        assert words in " ".join(done.stdout.split())


def test_json_is_the_report(folder, elsewhere):
    done = run("compare", "--model", folder, "--json", "--interval", "1", "--out", "there", *SHORT)
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert printed == json.loads((elsewhere / "there" / "report.json").read_text())
    assert printed["identical"] is True
    assert printed["settings"]["prompt"].startswith("a person with")


def test_few_steps_are_warned_of_in_one_line(folder):
    done = run("compare", "--model", folder, "--steps", "4")
    notes = [line for line in done.stderr.splitlines() if line.startswith("note: ")]
    assert len(notes) == 1
    assert "4 steps" in notes[0]


def test_a_pipeline_without_a_prompt(loaded):
    loaded(ddpm())
    assert run("compare", *SHORT).exit_code == 0
    refused = run("compare", "a person", *SHORT)
    assert refused.exit_code == 2
    assert "'prompt'" in refused.stderr


def refused(message, *arguments):
    return pytest.param(message, arguments, id=message)


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        refused("no such folder", "--model", "no/such/folder"),
        refused("no such folder", "--model", "nothing"),
        refused("Hugging Face hub did not give it", "--model", "nobody/nothing"),
        refused("no model_index.json", "--model", "."),
        refused("the prompt is empty", ""),
        refused("steps=0", "--steps", "0"),
        refused("repeats=0", "--repeats", "0"),
        refused("seed=-1", "--seed", "-1"),
        refused("unknown preset 'no-such-preset'", "--plan", "no-such-preset"),
        refused("no such plan file", "--plan", "no-such.yaml"),
        refused("is not a folder", "--out", "a-file"),
        refused("is not a folder", "--out", "a-file/below"),
        refused("nothing can be written", "--out", "n" * 300),
        refused("device 'nowhere' cannot be used", "--device", "nowhere"),
        refused("unknown dtype", "--dtype", "int8", "--model", "."),
        refused("Did you mean 'inpaint'", "--task", "inpainting"),
        refused("--frames does not go with --task text-to-image", "--frames", "8"),
        refused("--mask does not go with --task controlnet", "--task", "controlnet", "--mask", "a-file"),
        refused("--image needs --mask", "--task", "inpaint", "--image", "a-file"),
        refused("needs --image FILE and --mask FILE", "--task", "inpaint", "--model", "."),
        refused("--controlnet needs --model", "--task", "controlnet", "--controlnet", "a/b"),
        refused("text-to-video miniature takes no --image", "--task", "text-to-video", "--image", "a-file"),
        refused("a-file: is not an image", "--task", "controlnet", "--image", "a-file"),
        refused("no.png: there is no such file", "--task", "controlnet", "--image", "no.png"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(message, arguments, elsewhere, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (elsewhere / "a-file").touch()
    done = run("compare", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ")
    assert not done.stdout
    assert [path.name for path in elsewhere.iterdir()] == ["a-file"]


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        refused("interval must be", "--interval", "0"),
        refused("has 4 branches", "--branch", "4"),
        refused("is a folder, but a file of that name", "--out", "taken"),
    ],
)
def test_what_the_model_does_not_allow_is_found_before_sampling(message, arguments, loaded, elsewhere):
    (elsewhere / "taken" / "report.json").mkdir(parents=True)
    calls = loaded(prompted())
    done = run("compare", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert not calls
    assert not (elsewhere / "mmcache-out").exists()


def test_a_broken_model_folder(tmp_path):
    (tmp_path / "model_index.json").write_text("{")
    done = run("compare", "--model", tmp_path)
    assert done.exit_code == 2
    assert "cannot be loaded" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_interrupted(loaded, elsewhere):
    pipe = prompted()
    loaded(pipe)

    def interrupt(*_):
        raise KeyboardInterrupt

    pipe.unet.register_forward_hook(interrupt)
    done = run("compare")
    assert done.exit_code == 130
    assert done.stderr == "error: interrupted\n"
    assert not list(elsewhere.iterdir())


def test_our_own_mistakes_keep_their_traceback(loaded):
    pipe = prompted()
    loaded(pipe)

    def fail(*_):
        raise RuntimeError("a mistake")

    pipe.unet.register_forward_hook(fail)
    done = run("compare")
    assert done.exit_code == 1
    assert isinstance(done.exception, RuntimeError)


def test_lists():
    assert "UNet2DConditionModel" in run("adapters").stdout
    assert run("presets").exit_code == 0


def test_help_and_version():
    assert "--guidance-scale" in run("compare", "--help").stdout
    assert run("--version").stdout.startswith("mmcache ")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A picture and a mask of another size and shape than the pipelines draw."""
    place = tmp_path_factory.mktemp("pictures")
    Image.effect_noise((60, 40), 60).convert("P").save(place / "picture.png")
    Image.new("L", (60, 40), 255).save(place / "mask.png")
    return place


@pytest.mark.parametrize(
    ("task", "pipe", "files", "more"),
    [
        ("inpaint", inpainting, FILES, []),
        ("controlnet", controlled, FILES, []),
        ("text-to-video", moving, VIDEO_FILES, ["--frames", "3"]),
    ],
)
def test_each_task_runs_with_inputs_of_its_own(task, pipe, files, more, loaded, elsewhere):
    loaded(pipe())
    done = run("compare", "--task", task, *more, *SHORT)
    assert done.exit_code == 0, done.output
    assert {path.name for path in (elsewhere / "mmcache-out").iterdir()} == set(files)
    report = json.loads((elsewhere / "mmcache-out" / "report.json").read_text())
    assert report["settings"]["prompt"].startswith("a person")


def test_inpainting_with_a_model_that_only_draws(folder, pictures, elsewhere):
    given = ["--image", pictures / "picture.png", "--mask", pictures / "mask.png"]
    done = run("compare", "a hat", "--task", "inpaint", "--model", folder, *given, *SHORT)
    assert done.exit_code == 0, done.output
    # In the proportions of the picture, and as many pixels as the 16x16 that the model is made for.
    assert Image.open(elsewhere / "mmcache-out" / "full.png").size == (20, 14)


def test_a_controlnet_for_a_model_that_has_none(folder, pictures, tmp_path):
    controlnet().save_pretrained(tmp_path / "net")
    given = ["--task", "controlnet", "--model", folder, "--image", pictures / "picture.png"]
    refused = run("compare", *given, *SHORT)
    assert refused.exit_code == 2
    assert "add --controlnet MODEL" in refused.stderr
    done = run("compare", *given, "--controlnet", tmp_path / "net", *SHORT)
    assert done.exit_code == 0, done.output
    assert "controlnet" in done.stdout


def test_motion_for_a_model_that_draws_pictures(folder, tmp_path):
    motion_adapter().save_pretrained(tmp_path / "motion")
    given = ["--task", "text-to-video", "--model", folder, "--frames", "2"]
    done = run("compare", *given, "--motion-adapter", tmp_path / "motion", *SHORT)
    assert done.exit_code == 0, done.output
    assert "VMAF" in done.stdout


def test_models_for_another_task_are_told_from_each_other(tmp_path):
    inpainting().save_pretrained(tmp_path / "inpainting")
    ddpm().save_pretrained(tmp_path / "ddpm")
    Image.new("RGB", (32, 32), "white").save(tmp_path / "white.png")
    done = run("compare", "--model", tmp_path / "inpainting", *SHORT)
    assert done.exit_code == 2
    assert "add --task inpaint" in done.stderr
    given = ["--image", tmp_path / "white.png", "--mask", tmp_path / "white.png"]
    done = run("compare", "--model", tmp_path / "ddpm", "--task", "inpaint", *given, *SHORT)
    assert done.exit_code == 2
    assert "is a DDPMPipeline, and diffusers makes none of it for --task inpaint" in done.stderr


def test_as_a_module():
    done = subprocess.run([sys.executable, "-m", "mmcache", "--version"], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith("mmcache ")


def test_generate_keeps_what_is_drawn_with_caching(folder, elsewhere):
    done = run("generate", "a person", "--model", folder, "--steps", 10, "--interval", 3, "--count", 2)
    assert done.exit_code == 0, done.output
    assert "4 full, 6 cached steps" in " ".join(done.stdout.split())
    first, second = (Image.open(elsewhere / "mmcache-out" / f"seed-{seed}.png") for seed in (0, 1))
    assert first.tobytes() != second.tobytes()
    pipe = prompted()
    pipe.set_progress_bar_config(disable=True)
    with mmcache.accelerate(pipe, interval=3):
        noise = torch.Generator().manual_seed(1)
        wanted = pipe("a person", num_inference_steps=10, generator=noise).images[0]
    assert second.tobytes() == wanted.tobytes()


def test_generate_without_a_cache_and_as_json(folder):
    done = run("generate", "--model", folder, "--no-cache", "--json", "--out", "there", *SHORT)
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["run"]["denoisers"][0]["cached_steps"] == 0
    assert [Path(file).name for file in said["files"]] == ["seed-0.png"]


def test_generate_keeps_what_it_has_drawn_when_it_is_stopped(loaded, elsewhere):
    pipe = prompted()
    loaded(pipe)
    with failing_denoiser(pipe, at_call=6, error=KeyboardInterrupt()):
        assert run("generate", "--count", 3, *SHORT).exit_code == 130
    assert [path.name for path in (elsewhere / "mmcache-out").iterdir()] == ["seed-0.png"]


def test_generate_without_a_cache_takes_no_plan(folder):
    refused = run("generate", "--model", folder, "--no-cache", "--plan", "fast", *SHORT)
    assert refused.exit_code == 2
    assert "--no-cache runs every step in full" in refused.stderr


def test_generate_draws_clips(loaded, elsewhere):
    loaded(moving())
    done = run("generate", "--task", "text-to-video", "--frames", 2, "--seed", 5, *SHORT)
    assert done.exit_code == 0, done.output
    check_decodes(elsewhere / "mmcache-out" / "seed-5.mp4")


@pytest.mark.parametrize("command", ["adapters", "presets"])
def test_lists_are_printed_as_json_too(command):
    assert json.loads(run(command, "--json").stdout)


def test_shared_options_are_the_same_everywhere():
    """Every command that draws takes all of them, under the same names."""
    names = {f"--{field.name.replace('_', '-')}" for field in fields(GenerationRequest)}
    for command in ("compare", "generate", "sweep", "tune", "calibrate"):
        words = set(run(command, "--help").stdout.replace("│", " ").split())
        assert names <= words, command


@pytest.fixture
def without_demos(monkeypatch):
    """The demos' distribution is hidden from import."""
    for name in [name for name in sys.modules if name.split(".")[0] == "mmcache_demos"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mmcache_demos", None)


@pytest.mark.parametrize(
    "command",
    [
        ["compare"],
        ["compare", "--model", "transformer"],
        ["compare", "--task", "inpaint"],
        ["generate", "--task", "text-to-video"],
        ["sweep"],
        ["tune", "--speedup", "2"],
        ["calibrate"],
        ["inspect"],
        ["demo"],
        ["paper"],
    ],
    ids=" ".join,
)
def test_commands_that_need_the_demos_say_how_to_install_them(command, without_demos, elsewhere):
    done = run(*command)
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert "pip install mmcache-demos" in done.stderr
    assert "pip install -e demos" in done.stderr
    assert not list(elsewhere.iterdir())


def test_the_demos_are_missing_as_an_extra(without_demos):
    with pytest.raises(mmcache.MissingExtraError):
        require_demos("the demo comes")


def test_a_pipeline_of_ones_own_needs_no_demos(folder, without_demos, elsewhere):
    assert run("compare", "a person", "--model", folder, *SHORT).exit_code == 0
    assert run("generate", "a person", "--model", folder, *SHORT).exit_code == 0
    assert run("inspect", folder).exit_code == 0
    assert {path.name for path in (elsewhere / "mmcache-out").iterdir()} == {*FILES, "seed-0.png"}
