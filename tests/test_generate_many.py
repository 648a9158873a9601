"""`mmcache.generate` and `mmcache generate --prompts`, with tiny pipelines: the same bytes in every way."""

import json
import signal
import threading
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import mmcache
from mmcache.cli import app
from mmcache.tools.generating.lines import LineError
from mmcache.tools.generating.model_check import PlanCheck
from tests import tiny_loads
from tests.fake_jobs import Events, images
from tests.tiny_prompted import prompted

SHORT = {"steps": 9, "guidance_scale": 3.0, "progress": False}
PROMPTS = ["a cat", {"prompt": "a dog", "id": "dog", "seed": 7}, "a bird"]
MANY = [*PROMPTS, *(f"prompt {n}" for n in range(3))]


pytestmark = pytest.mark.usefixtures("elsewhere")


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def sidecar(out, name):
    return json.loads((out / f"{name}.json").read_text())


def test_a_line_gives_the_bytes_of_a_single_prompt(folder, elsewhere):
    options = ("--model", folder, "--steps", 4, "--seed", 3, "--threads", 1)
    assert run("generate", "a cat", *options, "--out", "one").exit_code == 0
    (elsewhere / "prompts.txt").write_text("a cat\na dog\n")
    done = run("generate", "--prompts", "prompts.txt", *options, "--out", "many")
    assert done.exit_code == 0, done.output
    assert "2 of 2 images" in done.stdout
    assert images(elsewhere / "one")["seed-3.png"] in images(elsewhere / "many").values()


def test_shards_give_the_same_bytes(elsewhere):
    together = elsewhere / "together"
    result = mmcache.generate(PROMPTS, together, load=tiny_loads.load, **SHORT)
    assert result.exit_code == 0
    apart = elsewhere / "apart"
    for index in range(2):
        mmcache.generate(PROMPTS, apart, load=tiny_loads.load, shard=f"{index}/2", **SHORT)
    assert len(images(together)) == 3
    assert images(together) == images(apart)


def test_the_callers_pipeline_and_threads_are_left_as_they_were(elsewhere):
    pipe = prompted()
    before, threads = dict(pipe.unet.__dict__), torch.get_num_threads()
    few = {**SHORT, "steps": 2}  # two threads on a busy machine wait for each other
    mmcache.generate(["a"], "out", load=lambda: pipe, threads=threads + 1, **few)
    assert torch.get_num_threads() == threads
    assert {name: pipe.unet.__dict__.get(name) for name in before} == before
    mmcache.accelerate(pipe).restore()


def test_a_sidecar_tells_how_its_image_was_made(folder, elsewhere):
    mmcache.generate(PROMPTS, "out", load=folder, plan="fast", **SHORT)
    found = sidecar(elsewhere / "out", "dog")
    assert (found["prompt"], found["seed"], found["line"], found["batch"]) == ("a dog", 7, 2, 1)
    assert found["file"] == "dog.png"
    assert found["model"] == str(folder)
    assert found["revision"].startswith("configs-")
    assert found["versions"]["torch"] == torch.__version__
    assert found["report"]["full_steps"] == 4  # two by the interval, two at the end
    assert found["report"]["cached_steps"] == 5
    assert found["report"]["full_macs"] > found["report"]["macs"] > 0
    other = mmcache.generate(PROMPTS, "other", load=folder, plan="quality", **SHORT)
    assert sidecar(other.out, "dog")["plan_hash"] != found["plan_hash"]
    summary = json.loads((elsewhere / "out" / "summary.json").read_text())["reports"]
    assert summary["full_steps"] == 12
    assert summary["macs_saved"] == 3 * (found["report"]["full_macs"] - found["report"]["macs"])


def test_a_line_may_have_its_own_plan_and_arguments(elsewhere):
    lines = [
        {"prompt": "a", "id": "own", "plan": "turbo", "steps": 6, "guidance": 1.0, "height": 24, "width": 32},
        {"prompt": "a", "id": "runs", "seed": 0},
        {"prompt": "a", "id": "again", "seed": 0, "negative_prompt": "b"},
    ]
    mmcache.generate(lines, "out", load=tiny_loads.load, plan="quality", **SHORT)
    own, runs = (sidecar(elsewhere / "out", name) for name in ("own", "runs"))
    assert (own["report"]["full_steps"], own["report"]["cached_steps"]) == (3, 3)
    assert (runs["report"]["full_steps"], runs["report"]["cached_steps"]) == (6, 3)
    assert Image.open(elsewhere / "out" / "own.png").height == 24
    assert images(elsewhere / "out")["runs.png"] != images(elsewhere / "out")["again.png"]


def test_images_and_masks_of_lines(elsewhere):
    Image.new("RGB", (32, 32), "red").save("a.png")
    Image.new("L", (32, 32), 255).save("mask.png")
    Image.new("L", (16, 32), 255).save("wrong.png")
    lines = [
        {"prompt": "a", "id": "fits", "image": "a.png", "mask": "mask.png"},
        {"prompt": "a", "id": "not", "image": "a.png", "mask": "wrong.png"},
    ]
    result = mmcache.generate(lines, "out", load=tiny_loads.load_inpainting, **SHORT)
    assert (result.done, result.failed) == (1, 1)
    (error,) = map(json.loads, (elsewhere / "out" / "errors.jsonl").read_text().splitlines())
    assert error["id"] == "not"
    assert "the mask is 16x32" in error["reason"]


def test_control_images_of_lines(elsewhere):
    for name, colour in (("a", "white"), ("b", "black")):
        Image.new("RGB", (32, 32), colour).save(f"{name}.png")
    lines = [
        {"prompt": "a", "id": f"{key}-{name}", "seed": 0, key: f"{name}.png"}
        for key in ("control_image", "image")
        for name in ("a", "b")
    ]
    made = images(mmcache.generate(lines, "out", load=tiny_loads.load_controlled, **SHORT).out)
    assert made["control_image-a.png"] == made["image-a.png"] != made["image-b.png"]
    assert len(made) == 4


def test_batches_are_close_and_say_their_size(elsewhere):
    prompts = [*(f"prompt {n}" for n in range(5)), {"prompt": "other shape", "height": 24, "width": 32}]
    single = mmcache.generate(prompts, "single", load=tiny_loads.load, **SHORT)
    batched = mmcache.generate(prompts, "batched", load=tiny_loads.load, batch=4, **SHORT)
    assert batched.done == 6
    for name in images(single.out):
        first, second = (np.asarray(Image.open(out / name)).astype(int) for out in (single.out, batched.out))
        assert np.abs(first - second).max() <= 1
    sizes = sorted(sidecar(batched.out, name[:-4])["batch"] for name in images(batched.out))
    assert sizes == [1, 1, 4, 4, 4, 4]
    reports = [json.loads((out / "summary.json").read_text())["reports"] for out in (single.out, batched.out)]
    for name in ("full_steps", "cached_steps", "macs_saved"):
        assert reports[0][name] == reports[1][name]


def test_out_of_memory_halves_the_batch(elsewhere):
    log = elsewhere / "log"
    load = partial(tiny_loads.out_of_memory_above, 1, log)
    result = mmcache.generate([f"prompt {n}" for n in range(8)], "out", load=load, batch=4, **SHORT)
    assert (result.done, result.failed) == (8, 0)
    tried = [int(line) for line in log.read_text().splitlines()]
    assert set(tried) == {1, 2, 4}
    assert tried.count(4) == 1, "a smaller batch was kept to"
    assert tried.count(2) == 1


def test_out_of_memory_with_one_image_is_an_error_that_says_so(elsewhere):
    load = partial(tiny_loads.out_of_memory_above, 0)
    result = mmcache.generate(["a"], "out", load=load, **SHORT)
    (error,) = map(json.loads, (elsewhere / "out" / "errors.jsonl").read_text().splitlines())
    assert result.exit_code == 1
    assert error["tries"] == 3
    assert "out of memory" in error["reason"]


def test_one_bad_line_of_a_batch_does_not_spoil_the_others(elsewhere):
    lines = [{"prompt": f"prompt {n}", "nonsense": 1} for n in range(2)] + ["a", "b", "c"]
    load = partial(tiny_loads.failing, ValueError, "", 99)  # a class that nobody knows beforehand
    result = mmcache.generate(lines, "out", load=load, batch=5, **SHORT)
    assert (result.done, result.failed) == (3, 2)
    assert "unknown argument 'nonsense'" in (elsewhere / "out" / "errors.jsonl").read_text()


@pytest.mark.slow  # two processes import diffusers; test_generating.py kills workers that import nothing
def test_a_worker_killed_in_mid_run_loses_nothing(elsewhere):
    plain = mmcache.generate(PROMPTS, "plain", load=tiny_loads.load, **SHORT)
    events = Events()
    load = partial(tiny_loads.dying, elsewhere / "died", 12)
    result = mmcache.generate(PROMPTS, "out", load=load, workers=1, listener=events, **SHORT)
    assert (result.done, result.failed) == (3, 0)
    assert len(events.of("worker_died")) == 1
    assert images(result.out) == images(plain.out)


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory):
    """A run over two processes, whose start is what costs: its folder, and what its workers logged of it."""
    place = tmp_path_factory.mktemp("two")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("HF_HUB_OFFLINE", raising=False)
        load = partial(tiny_loads.load_and_tell, place / "log")
        result = mmcache.generate(MANY, place / "out", load=load, workers=2, **SHORT)
    assert result.exit_code == 0
    return result.out, [line.split() for line in (place / "log").read_text().splitlines()]


def test_workers_give_the_same_bytes(two_workers, elsewhere):
    together = mmcache.generate(MANY, elsewhere / "together", load=tiny_loads.load, **SHORT)
    assert len(images(together.out)) == len(MANY)
    assert images(together.out) == images(two_workers[0])


def test_workers_load_in_turn_and_only_the_first_may_ask_the_hub(two_workers):
    lines = two_workers[1]
    loads = [line for line in lines if line[0] == "begin"]
    assert [line[0] for line in lines] == ["begin", "end"] * len(loads), "one at a time"
    assert len({line[1] for line in loads}) == len(loads), "once per worker"
    assert [line[2] for line in loads] == ["False", "True"][: len(loads)]


def test_what_does_not_load_is_said(elsewhere):
    with pytest.raises(ValueError, match="there is no such model"):
        mmcache.generate(["a"], "out", load=tiny_loads.missing, **SHORT)


def test_the_plan_is_checked_before_anything_is_loaded(folder, elsewhere):
    with pytest.raises(ValueError, match="branch"):
        mmcache.generate(["a"], "out", load=folder, branch=99, workers=2, **SHORT)
    lines = ["a", {"prompt": "b", "plan": "no.yaml"}]
    with pytest.raises(ValueError, match=r"prompt 2 plan: .*no such plan file"):
        mmcache.generate(lines, "out", load=tiny_loads.missing, model=folder, **SHORT)
    (elsewhere / "deep.yaml").write_text("policy: {name: Uniform, interval: 3}\nbranch: 99\n")
    with pytest.raises(ValueError, match=r"prompt 1 plan: .*branch"):
        mmcache.generate([{"prompt": "b", "plan": "deep.yaml"}], "out", load=folder, **SHORT)
    assert not (elsewhere / "out").exists()


def test_a_changed_plan_file_is_another_setting(folder, elsewhere):
    (elsewhere / "plan.yaml").write_text("policy: {name: Uniform, interval: 3}\n")
    mmcache.generate(["a"], "out", load=folder, plan="plan.yaml", **SHORT)
    assert mmcache.generate(["a"], "out", load=folder, plan="plan.yaml", **SHORT).nothing_to_do
    (elsewhere / "plan.yaml").write_text("policy: {name: Uniform, interval: 2}\n")
    with pytest.raises(ValueError, match="other settings"):
        mmcache.generate(["a"], "out", load=folder, plan="plan.yaml", **SHORT)


@pytest.mark.parametrize("workers", [0, True, -1, 100_000])
def test_a_number_of_workers_that_cannot_be(workers):
    with pytest.raises(ValueError, match="workers="):
        mmcache.generate(["a"], "out", load=tiny_loads.load, workers=workers, **SHORT)


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ("line 1 unknown key 'promt'. Did you mean 'prompt'", ["--prompts", "bad.jsonl"]),
        ("no such file", ["--prompts", "no.jsonl"]),
        ("wanted I/N", ["--prompts", "good.txt", "--shard", "4/4"]),
        ("--workers goes with --prompts", ["--workers", "2"]),
        ("--shard goes with --prompts", ["a cat", "--shard", "0/2"]),
        ("--overwrite goes with --prompts", ["--overwrite"]),
        ("leave out PROMPT", ["a cat", "--prompts", "good.txt"]),
        ("leave out PROMPT", ["--count", "2", "--prompts", "good.txt"]),
        ("leave out --plan", ["--no-cache", "--interval", "2", "--prompts", "good.txt"]),
        ("unknown preset", ["--plan", "no-such", "--prompts", "good.txt"]),
        ("branch", ["--branch", "99", "--prompts", "good.txt"]),
        ("needs the address", ["--ray-resource", "slot", "--prompts", "good.txt"]),
        ("steps=0", ["--steps", "0", "--prompts", "good.txt"]),
    ],
)
def test_bad_input_at_the_command_line(words, arguments, folder, elsewhere):
    (elsewhere / "bad.jsonl").write_text('{"promt": "a"}\n')
    (elsewhere / "good.txt").write_text("a\n")
    done = run("generate", "--model", folder, *arguments)
    assert done.exit_code == 2, done.output
    assert words in done.stderr
    assert not (elsewhere / "mmcache-out").exists()


def test_a_key_of_another_pipeline_is_refused_before_it_is_loaded(folder, elsewhere):
    (elsewhere / "p.jsonl").write_text('{"prompt": "a", "num_frames": 8}\n')
    done = run("generate", "--model", folder, "--prompts", "p.jsonl")
    assert done.exit_code == 2
    assert "line 1 unknown key 'num_frames'" in done.stderr
    (elsewhere / "p.jsonl").write_text('{"prompt": "a", "kwargs": 8}\n')  # its call has **kwargs
    done = run("generate", "--model", folder, "--prompts", "p.jsonl")
    assert done.exit_code == 2


def test_json_gives_events_and_quiet_else(folder, elsewhere):
    (elsewhere / "p.jsonl").write_text('{"prompt": "a", "id": "x"}\n{"prompt": "b", "plan": "fast"}\n')
    options = ("--model", folder, "--prompts", "p.jsonl", "--steps", 9)
    done = run("generate", *options, "--json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["event"] for one in events] == ["start", "ready", "done", "done", "end"]
    assert events[2]["id"] == "x"
    assert events[-1]["complete"]
    again = run("generate", *options)
    assert again.exit_code == 0
    assert again.stderr == ""
    assert "nothing to do" in " ".join(again.stdout.split())


@pytest.mark.parametrize("name", ["text-to-image", "transformer", "text-to-video"])
def test_the_miniatures_plans_and_keys_are_known_from_their_configs(name):
    from mmcache.cli.generate_many import miniature_config
    from mmcache.tools.generating.lines import LineSchema, arguments_of

    config, pipeline = miniature_config(name)
    PlanCheck(config).check("fast")
    with pytest.raises(ValueError, match="branch"):
        PlanCheck(config).check(None, branch=99)
    schema = LineSchema(arguments_of(pipeline))
    schema.check({"prompt": "a", "steps": 3, "guidance": 2})
    with pytest.raises(LineError, match="Did you mean"):
        schema.check({"prompt": "a", "guidance_scal": 2})


def test_a_load_that_cannot_be_sent_is_refused(elsewhere):
    with pytest.raises(TypeError, match="top level of a module"):
        mmcache.generate(["a"], "out", load=lambda: None, workers=1, **SHORT)
    assert not (elsewhere / "out" / "settings.json").exists(), "other settings may come"


def test_common_arguments_are_settings_by_their_contents(elsewhere):
    def run(colour):
        image = Image.new("RGB", (32, 32), colour)
        return mmcache.generate(["a"], "out", load=tiny_loads.load_controlled, image=image, **SHORT)

    assert run("red").done == 1
    assert run("red").nothing_to_do
    with pytest.raises(ValueError, match="other settings"):
        run("blue")


def test_an_error_that_stays_in_this_process_says_what_to_do(elsewhere, folder, monkeypatch):
    from mmcache.tools.generating import pipeline_job

    def broken(self, items):
        raise RuntimeError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(pipeline_job.PipelineWorker, "_generate", broken)
    (elsewhere / "p.txt").write_text("a\n")
    done = run("generate", "--model", folder, "--prompts", "p.txt")
    assert done.exit_code == 1
    assert "--workers 1" in done.stderr


@pytest.fixture
def heeds_ctrl_c():
    """Ctrl-C raises KeyboardInterrupt, also in tests that were started in the background, with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeds_ctrl_c")
def test_ctrl_c_reaches_the_caller_of_the_function(elsewhere):
    def listener(event, **about):
        if event == "done":
            threading.Timer(0.01, signal.raise_signal, [signal.SIGINT]).start()

    prompts = [f"prompt {n}" for n in range(500)]
    with pytest.raises(KeyboardInterrupt):
        mmcache.generate(prompts, "out", load=tiny_loads.load, listener=listener, **SHORT)
    assert not list((elsewhere / "out").glob(".*.part"))
    assert json.loads((elsewhere / "out" / "summary.json").read_text())["left"] > 0


def test_without_ray_it_says_what_to_install(monkeypatch, folder, elsewhere):
    import sys

    monkeypatch.setitem(sys.modules, "ray", None)
    (elsewhere / "p.txt").write_text("a\n")
    done = run("generate", "--model", folder, "--prompts", "p.txt", "--ray", "auto")
    assert done.exit_code == 2
    assert "pip install 'mmcache[ray]'" in done.stderr
