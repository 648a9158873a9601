"""Commands before a model is loaded: names, paths, options without effect, completion, the hub, `check`."""

import importlib
import json
import os
import subprocess
import sys
import time
import warnings

import pytest
import typer
from huggingface_hub import constants
from typer.testing import CliRunner

import mmcache
from mmcache.architectures import catalog
from mmcache.cli import app, completion
from mmcache.cli.terminal import plain_errors
from mmcache.plans.calibrated_for import CalibratedFor
from mmcache.plans.plan_file import load_plan
from mmcache.plans.presets import USUAL, families, load_preset, presets
from mmcache.tools import hub
from mmcache.tools.inspecting.checking import check_model
from mmcache.tools.inspecting.from_config import denoisers_from_config
from mmcache.tools.inspecting.model_parts import parts_of_config
from mmcache.tools.loading import load_pipeline
from mmcache.tools.model_source import ModelNotFoundError
from mmcache.tools.running.sizes import changed_sizes, check_memory
from tests import tiny
from tests.tiny_prompted import moving, prompted

pytestmark = pytest.mark.usefixtures("elsewhere")


def run(*arguments, **more):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], **more)


BEFORE_TORCH = """
import sys
from typer.testing import CliRunner
from mmcache.cli import app
for words in {commands}:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == ({code}), (words, done.output)
    assert "torch" not in sys.modules, words
"""
QUICK = """
import sys
from mmcache.cli import app
try:
    app({words})
except SystemExit as ended:
    assert not ended.code, ended.code
read = {{name.split(".")[0] for name in sys.modules}} | {{n for n in sys.modules if n.startswith("mmcache.")}}
print("MODULES", *read, file=sys.stderr)
"""
SLOW = {"torch", "numpy", "PIL", "scipy", "diffusers", "transformers", "huggingface_hub", "psutil", "tqdm"}


@pytest.mark.parametrize(
    ("code", "commands"),
    [
        (0, [["--help"], ["presets"], ["adapters"], ["tune", "--help"], ["presets", "--json"]]),
        (
            2,
            [
                *(["compare", "--model", "no/such/folder"], ["compare", "--plan", "no-such"]),
                *(
                    ["generate", "--task", "inpainting"],
                    ["compare", "--out", ""],
                    ["tune", "--out", "a-file/x"],
                ),
                *(["tune", "--speedup", "2", "--prompts", "no.txt"], ["calibrate", "--costs", "nan"]),
                *(["sweep", "--scheduler", "dimm"], ["sweep", "--prompts", "no.txt"], ["inspect", "no-such"]),
                *(["check", "no-such"], ["compare", "--dtype", "int8"], ["compare", "--threads", "99999"]),
            ],
        ),
    ],
)
def test_names_and_paths_are_checked_before_torch_is_imported(code, commands, elsewhere):
    (elsewhere / "a-file").touch()
    program = BEFORE_TORCH.format(commands=commands, code=code)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-600:]


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (["--help"], {"yaml", "mmcache.plans", "mmcache.tools"}),
        (["tune", "--help"], {"yaml", "mmcache.plans", "mmcache.tools"}),
        (["adapters"], {"yaml", "mmcache.plans", "mmcache.architectures.adapter"}),
        (["presets"], {"mmcache.plans.plan_model", "mmcache.plans.plan_file", "mmcache.architectures"}),
    ],
)
def test_lists_and_help_import_nothing_that_takes_long(words, more):
    program = QUICK.format(words=words)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-600:]
    imported = set(done.stderr.rpartition("MODULES")[2].split())
    assert "mmcache.cli" in imported
    assert not imported & (SLOW | more)


def test_the_catalog_is_what_the_registry_has():
    assert catalog.catalog() == catalog.described()
    file = catalog._folder() / catalog.FILE
    assert json.loads(file.read_text())["files"] == catalog.marks(), (
        "an adapter or a default plan has changed: "
        "python -m mmcache.architectures.catalog > adapters/catalog.json"
    )
    assert f"*/{USUAL}.yaml" == catalog.DEFAULT_PLANS


def test_a_changed_adapter_is_listed_before_the_catalog_is(monkeypatch):
    monkeypatch.setattr(catalog, "_stored", dict)
    assert catalog.catalog() == catalog.described()


def test_presets_are_the_plans_of_their_files():
    for family in families():
        for file in presets(family).values():
            assert load_preset(file) == load_plan(file)


@pytest.mark.parametrize(
    "words",
    [
        ["compare", "--guidance-scale", "nan"],
        ["compare", "--guidance-scale", "inf"],
        ["compare", "--threads", "0"],
        ["compare", "--variant", "fp16"],
        ["compare", "--interval", "1", "--branch", "2"],
        ["compare", "--interval", "1", "--plan", "fast"],
        ["compare", "--interval", "60"],
        ["compare", "--height", "0"],
        ["compare", "--width", "100000000"],
        ["generate", "--report", "--json"],
        ["generate", "--out", " "],
        ["calibrate", "--costs", ""],
        ["calibrate", "--costs", "inf"],
        ["calibrate", "--count", "4", "--held-out", "4"],
        ["tune", "--speedup", "nan"],
        ["tune", "--psnr", "inf"],
        ["inspect", "--branch", "1"],
        ["inspect", "--steps", "20"],
        ["inspect", "--similarity", "a.png", "--height", "64"],
        ["inspect", "--tokens", "0"],
        ["check", "text-to-image", "--height", "64"],
        ["check", "text-to-image", "--steps", "0"],
    ],
    ids=" ".join,
)
def test_options_without_effect_or_sense_are_refused(words, elsewhere):
    done = run(*words)
    assert done.exit_code == 2, done.output
    assert not list(elsewhere.iterdir())


def test_a_size_that_makes_no_difference_is_refused(folder):
    done = run("inspect", folder, "--frames", "9")
    assert done.exit_code == 2
    assert "--frames" in done.stderr


def test_a_calibrated_plan_that_is_changed_is_said(elsewhere, folder):
    made_for = CalibratedFor("UNet2DConditionModel", "DDIMScheduler", 4)
    plan = mmcache.Plan(mmcache.StepMask([0, 2]), calibrated_for=made_for)
    mmcache.save_plan(plan, elsewhere / "plan.yaml")
    done = run("generate", "a hat", "--model", folder, "--plan", "plan.yaml", "--interval", 2, "--steps", 4)
    assert "nobody has measured" in done.stderr


def test_a_folder_with_the_name_of_a_miniature_is_said(elsewhere):
    (elsewhere / "transformer").mkdir()
    done = run("inspect", "transformer", "--branch", 1, "--plot", "u.txt")
    assert "the shipped miniature" in done.stderr
    prompted().save_pretrained(elsewhere / "transformer")
    done = run("inspect", "transformer")
    assert "is the folder here" in done.stderr
    assert "UNet2DConditionModel" in done.stdout


def test_a_folder_with_a_denoiser_alone_is_no_pipeline(elsewhere):
    tiny.unet().save_pretrained(elsewhere / "unet")
    done = run("compare", "a hat", "--model", elsewhere / "unet")
    assert done.exit_code == 2
    assert "is a UNet2DConditionModel alone" in done.stderr


@pytest.fixture
def offline_hub(tmp_path, monkeypatch):
    """A hub that cannot be reached, and a model of it on this machine: owner/bare."""
    store = tmp_path / "hub"
    model = store / "models--owner--bare"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text("abc")
    tiny.unet().save_pretrained(model / "snapshots" / "abc")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(store))

    def fail(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.utils.get_session", fail)
    return store


def test_a_hub_that_cannot_be_reached_is_asked_once(offline_hub):
    started = time.monotonic()
    assert not hub.reachable()
    with pytest.raises(ModelNotFoundError, match="cannot be reached"):
        load_pipeline("nobody/nothing", device="cpu")
    done = run("check", "nobody/nothing")
    assert done.exit_code == 2
    assert len(done.stderr.splitlines()) == 1
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("command", ["compare", "generate", "sweep", "check", "inspect"])
def test_a_model_that_the_hub_does_not_give_is_said_before_torch_is_imported(command, tmp_path):
    words = [command, *(["a cat"] if command in ("compare", "generate") else []), "--model", "nobody/nothing"]
    if command in ("check", "inspect"):
        words.remove("--model")
    calls = f"""
import sys
from mmcache.cli import app
try:
    app({words})
finally:
    print("torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", calls],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "False\n")
    assert "cannot be reached" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_denoiser_alone_on_the_hub(offline_hub):
    for command in ("compare", "sweep"):
        done = run(command, "--model", "owner/bare")
        assert (done.exit_code, "UNet2DConditionModel alone" in done.stderr) == (2, True)
    with pytest.raises(ModelNotFoundError, match="UNet2DConditionModel alone"):
        load_pipeline("owner/bare", device="cpu")
    assert type(denoisers_from_config("owner/bare")["denoiser"]).__name__ == "UNet2DConditionModel"
    assert parts_of_config("owner/bare").pipeline == ""
    assert completion.downloaded() == ["owner/bare"]


def test_values_complete(elsewhere):
    assert completion.complete_plan("ba") == ["balanced"]
    (elsewhere / "plan.yaml").touch()
    (elsewhere / "models").mkdir()
    assert completion.complete_plan("") == [*presets(), "models/", "plan.yaml"]
    prompted().save_pretrained(elsewhere / "models" / "mine")
    assert completion.complete_model("models/") == ["models/mine"]
    assert "inpainting" in completion.complete_model("inp")
    words = {"_MMCACHE_COMPLETE": "complete_bash", "COMP_CWORD": "3"}
    for typed, wanted in (
        ("compare --plan ba", "balanced"),
        ("compare --task inp", "inpaint"),
        ("sweep --scheduler eul", "euler"),
        ("compare --device cp", "cpu"),
        ("compare --model transf", "transformer"),
        ("compare --dtype bf", "bfloat16"),
    ):
        done = run(env=words | {"COMP_WORDS": f"mmcache {typed}"}, prog_name="mmcache")
        assert wanted in done.stdout.split(), (typed, done.stdout)


def test_memory_is_estimated_before_anything_is_generated():
    with pytest.raises(ValueError, match="frames"):
        check_memory(moving(), {"num_frames": 10**8, "height": 64, "width": 64})
    check_memory(moving(), {"num_frames": 8})
    check_memory(prompted(), {"height": "64"})


def test_sizes_that_a_pipeline_rounds_are_said():
    assert changed_sizes({"height": 100, "width": 64}, (1, 96, 64, 3)).count("got") == 1
    assert changed_sizes({"num_frames": 10, "height": 64}, (1, 9, 64, 64, 3)).count("got") == 1
    assert not changed_sizes({"height": 64}, (1, 64, 64, 3))


def test_what_of_a_plan_has_no_effect_is_said_once():
    pipe = tiny.stable_diffusion()
    plans = [
        mmcache.Plan(mmcache.StepMask([0, 2, 60])),
        mmcache.Plan(mmcache.Uniform(20)),
        mmcache.Plan(mmcache.Uniform(2, warmup=12)),
    ]
    for plan in plans:
        assert plan.without_effect(10)
        with mmcache.accelerate(pipe, plan):
            with pytest.warns(UserWarning, match="of 10"):
                tiny.sample(pipe)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                tiny.sample(pipe)
    assert not mmcache.Plan(mmcache.NonUniform(3)).without_effect(50)


# `mmcache check`


def test_check_says_what_would_be_gained(folder):
    done = run("check", folder, "--steps", "30", "--scheduler", "heun", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["steps"], found["sampler_steps"]) == (30, 59)
    (denoiser,) = found["denoisers"]
    plans = {plan["name"]: plan for plan in denoiser["plans"]}
    assert plans["balanced"]["evidence"] == "measured (image)"
    assert 1 < plans["quality"]["fewer_macs"] < plans["balanced"]["fewer_macs"] < plans["turbo"]["fewer_macs"]


def test_what_check_counts_is_what_a_run_takes(folder):
    pipe = prompted()
    found = check_model("tiny", parts_of_config(str(folder)), steps=20, plan="balanced")
    balanced = next(plan for plan in found.denoisers[0].plans if plan.name == "balanced")
    with mmcache.accelerate(pipe, "balanced") as session:
        pipe("a hat", num_inference_steps=20, guidance_scale=1.0, output_type="latent")
        part = session.report().denoisers[0]
    assert balanced.full_steps == part.full_steps
    assert balanced.fewer_macs == pytest.approx(part.full_macs / part.macs, rel=0.02)


def test_check_says_what_will_be_refused(folder, elsewhere):
    plan = mmcache.Plan(mmcache.Uniform(3), branch=9)
    mmcache.save_plan(plan, elsewhere / "deep.yaml")
    done = run("check", folder, "--plan", "deep.yaml")
    assert "deep.yaml will be refused" in " ".join(done.stdout.split())
    index = elsewhere / "odd" / "model_index.json"
    index.parent.mkdir()
    index.write_text(json.dumps({"_class_name": "NobodysPipeline", "vae": ["diffusers", "AutoencoderKL"]}))
    done = run("check", "odd")
    assert done.exit_code == 1
    assert "NobodysPipeline is not among" in done.stdout
    assert "Nothing can be cached" in done.stdout


def test_env_names_versions_and_no_path():
    found = json.loads(run("env", "--json").stdout)
    assert {"mmcache", "torch", "diffusers", "python", "devices", "memory"} <= found.keys()
    assert not any(os.sep + "home" in value or os.path.expanduser("~") in value for value in found.values())


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """A package of the environment that lacks another."""
    (tmp_path / "lacking").mkdir()
    (tmp_path / "lacking" / "__init__.py").write_text("import what_it_lacks")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_package_that_cannot_be_imported_is_named_in_one_line(broken, wrapped, capsys):
    def load():
        try:
            importlib.import_module("lacking")
        except ImportError as error:
            if wrapped:  # as diffusers does
                raise RuntimeError("Failed to import diffusers.loaders") from error
            raise

    with pytest.raises(typer.Exit) as ended, plain_errors():
        load()
    assert ended.value.exit_code == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert "the package lacking" in said
    assert "what_it_lacks" in said


@pytest.mark.parametrize("error", [RuntimeError("a mistake"), ImportError("ours", name="mmcache.nothing")])
def test_our_own_mistakes_keep_their_traceback(error):
    with pytest.raises(type(error)), plain_errors():
        raise error
