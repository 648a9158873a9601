"""Command lines and files of prompts that nobody should write: one line and exit code 2, no traceback."""

import os
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from mmcache.cli import app
from mmcache.cli.demo import user_and_password
from mmcache.cli.parsing import MOST_PROMPTS, prompts_in
from mmcache.cli.request import GenerationRequest
from mmcache.cli.terminal import MOST
from mmcache.tools import loading
from mmcache.tools.inspecting.from_config import denoisers_from_config
from mmcache.tools.loading import load_pipeline
from mmcache.tools.model_source import PIPELINE, ModelNotFoundError
from mmcache.tools.sweeping.folder import SweepFolder

SHARED = ("--steps", "--seed", "--task", "--model", "--revision", "--image", "--mask", "--frames", "--dtype")
OWN = {
    "compare": ("--plan", "--interval", "--branch", "--repeats"),
    "generate": ("--plan", "--interval", "--branch", "--count"),
    "sweep": (
        "--intervals",
        "--branches",
        "--forecasts",
        "--policies",
        "--scheduler",
        "--prompts",
        "--seeds",
    ),
    "tune": ("--speedup", "--psnr", "--prompts", "--count"),
}
VALUES = st.one_of(
    st.text(max_size=20),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(
        [
            *(
                "",
                "-1",
                "9" * 5000,
                "taylor99",
                "taylor" + "9" * 5000,
                "1,2,x",
                "0",
                "3.0",
                "nan",
                "true",
                "/",
            ),
            *("/dev/zero", "x" * 5000, "a\0b", "\ud800", "-", "--", "fast", "2,3", "inpaint", "../..", "٣"),
        ]
    ),
)
COMMANDS = st.sampled_from(sorted(OWN)).flatmap(
    lambda name: st.tuples(
        st.just(name), st.dictionaries(st.sampled_from(SHARED + OWN[name]), VALUES, min_size=1, max_size=4)
    )
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(command=COMMANDS)
def test_any_options_are_a_run_or_one_line(command, monkeypatch, tmp_path):
    def stop(self, inputs):
        raise ValueError("the model would be loaded now")

    monkeypatch.setattr(GenerationRequest, "load", stop)
    name, options = command
    out = ["--out", str(tmp_path / ("plan.yaml" if name == "tune" else "out"))]
    words = [word for option, value in options.items() for word in (option, value)]
    done = CliRunner().invoke(app, [name, *out, *words])
    assert isinstance(done.exception, SystemExit), (words, done.exception)
    assert done.exit_code == 2, words
    for line in done.stderr.splitlines():
        if line.startswith("error: "):
            assert len(line) <= MOST + 20


@pytest.mark.parametrize(
    "words",
    [
        *(["generate", "--count", "9" * 30], ["generate", "--steps", "9" * 30]),
        *(["compare", "--repeats", "9" * 30], ["compare", "--seed", "9" * 30]),
        *(["sweep", "--steps", "9" * 30], ["sweep", "--seeds", "9" * 30], ["sweep", "--batch", "9" * 30]),
        *(["sweep", "--intervals", "9" * 30], ["sweep", "--count", "9" * 30], ["tune", "--count", "9" * 30]),
    ],
)
def test_no_count_is_endless(words, monkeypatch, tmp_path):
    def stop(self, inputs):
        raise ValueError("the model would be loaded now")

    monkeypatch.setattr(GenerationRequest, "load", stop)
    started = time.monotonic()
    more = ["--speedup", "2"] if words[0] == "tune" else []
    done = CliRunner().invoke(app, [*words, *more, "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "would be loaded" not in done.stderr, "found before the model is loaded"
    assert time.monotonic() - started < 20


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode())))
def test_a_file_of_prompts_is_lines_of_text_or_refused(content, tmp_path):
    file = tmp_path / "prompts.txt"
    file.write_bytes(content)
    try:
        found = prompts_in(file, None)
    except ValueError as error:
        refusal = str(error)
    else:
        assert found
        assert all(prompt == prompt.strip() != "" for prompt in found)
        assert all(len(prompt.splitlines()) == 1 for prompt in found)
        return
    assert str(file) in refusal


@pytest.mark.parametrize(
    "words",
    [
        ["generate", "a \udcff"],
        ["generate", "a", "--negative-prompt", "\udcff"],
        ["compare", "\udcff"],
        ["generate", "--prompts", "prompts.txt", "--negative-prompt", "\udcff"],
    ],
    ids=ascii,
)
def test_bytes_that_are_no_text_are_refused(words, tmp_path, monkeypatch):
    """So Python hands on what a command line has in another encoding."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts.txt").write_text("a cat\n")
    done = CliRunner().invoke(app, [*words, "--steps", "2", "--out", "out"])
    assert done.exit_code == 2, done.output
    assert "UTF-8; give" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes that have names")
def test_prompts_and_configs_are_read_from_regular_files_only(tmp_path):
    started = time.monotonic()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    with (tmp_path / "large").open("wb") as opened:
        opened.truncate(MOST_PROMPTS + 1)
    for name in ("pipe", "zeros", "large", ".", "x" * 5000):
        with pytest.raises(ValueError, match="prompt") as raised:
            prompts_in(tmp_path / name, None)
        assert len(str(raised.value)) < 400
    for number, content in enumerate(["[" * 100_000, "{", "[]", "\ud800"]):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "config.json").write_text(content, encoding="utf-8", errors="surrogatepass")
        with pytest.raises(ModelNotFoundError):
            denoisers_from_config(folder)
    assert time.monotonic() - started < 5


@given(st.text(max_size=30))
def test_a_log_in_has_two_parts(text):
    user, _, password = text.partition(":")
    if user and password:
        assert user_and_password(text) == (user, password)
    else:
        with pytest.raises(ValueError, match="USER:PASSWORD"):
            user_and_password(text)


def test_a_log_in_comes_from_the_environment(monkeypatch):
    pytest.importorskip("gradio")
    from mmcache_demos.app import server

    seen = []
    monkeypatch.setattr(server, "launch", seen.append)
    done = CliRunner().invoke(app, ["demo"], env={"MMCACHE_DEMO_AUTH": "me:se:cret"})
    assert done.exit_code == 0, done.output
    assert seen[0].auth == ("me", "se:cret")


class Pickled:
    """Runs code where it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


def test_weights_that_would_run_code_are_not_loaded(tmp_path):
    import torch

    from tests.tiny import stable_diffusion

    pipe = stable_diffusion()
    pipe.save_pretrained(tmp_path / "model")
    weights = next((tmp_path / "model" / "unet").glob("*.safetensors"))
    weights.unlink()
    ran = tmp_path / "it ran"
    torch.save({"weights": Pickled(ran)}, tmp_path / "model" / "unet" / "diffusion_pytorch_model.bin")
    with pytest.raises(ModelNotFoundError, match="safetensors"):
        load_pipeline(tmp_path / "model", device="cpu")
    assert not ran.exists()


def test_a_revision_reaches_the_hub_and_is_refused_for_folders(tmp_path, monkeypatch):
    from diffusers import DiffusionPipeline

    seen = {}

    def from_pretrained(model, **options):
        seen.update(options)
        raise OSError("no network")

    monkeypatch.setattr(DiffusionPipeline, "from_pretrained", from_pretrained)
    monkeypatch.setattr(loading, "index_of", lambda *_, **__: (PIPELINE, {}))
    with pytest.raises(ModelNotFoundError):
        load_pipeline("owner/name", device="cpu", revision="0123abc")
    assert seen["revision"] == "0123abc"
    assert seen["use_safetensors"] is True
    (tmp_path / "model_index.json").write_text("{}")
    with pytest.raises(ModelNotFoundError, match="revision"):
        load_pipeline(tmp_path, device="cpu", revision="0123abc")
    done = CliRunner().invoke(app, ["compare", "--revision", "main"])
    assert done.exit_code == 2
    assert "--revision" in done.stderr


@pytest.mark.parametrize("content", ["[" * 100_000, "{}", "null", '{"label": 1}', "\x00"])
def test_what_no_sweep_has_written_is_refused(content, tmp_path):
    (tmp_path / "sweep.json").write_text("{}")
    (tmp_path / "full.npz").write_bytes(b"")
    (tmp_path / "lines.jsonl").write_text(content)
    with pytest.raises(ValueError, match="is not what a sweep has written"):
        SweepFolder(tmp_path, {})
