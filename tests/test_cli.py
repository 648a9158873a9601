"""The command line: what it writes and prints, and one plain line for each bad input."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

import mmcache.loading
from mmcache.cli import app
from mmcache.measuring.comparison import FILES
from tests.tiny import ddpm
from tests.tiny_prompted import prompted

SHORT = ["--steps", "4"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("model")
    prompted().save_pretrained(place)
    return place


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Whatever a command writes by mistake, it writes here."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def loaded(monkeypatch):
    """A pipe in the place of any model; `calls` counts its denoiser's."""

    def load(pipe):
        calls = []
        pipe.unet.register_forward_hook(lambda *_: calls.append(1))
        monkeypatch.setattr(mmcache.loading, "load_pipeline", lambda *_: pipe)
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
        refused("device 'nowhere' cannot be used", "--device", "nowhere", "--model", "."),
        refused("unknown dtype", "--dtype", "int8", "--model", "."),
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


def test_as_a_module():
    done = subprocess.run([sys.executable, "-m", "mmcache", "--version"], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith("mmcache ")
