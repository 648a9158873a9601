"""`sweep`: every line from the same noise, gone on with after a stop, and nothing half-written."""

import csv
import itertools
import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import mmcache
import mmcache_demos
from mmcache.cli import app
from mmcache.errors import MissingExtraError, UnsupportedPipelineError
from mmcache.testing.probes import anatomy, failing_denoiser
from mmcache.tools.quality.figures import PSNR, Figure
from mmcache.tools.running import runner
from mmcache.tools.sweeping.configurations import Cached, Full, short
from mmcache.tools.sweeping.files import FILES, PLAN
from mmcache.tools.sweeping.grid import fewer_steps, grid, policy_of
from mmcache.tools.sweeping.last_output import repeating_last_output
from mmcache.tools.sweeping.page import page, page_data
from mmcache.tools.sweeping.plot import pareto_png
from mmcache.tools.sweeping.points import Point, pareto_front, points
from mmcache.tools.sweeping.result import ConfigurationResult
from mmcache.tools.sweeping.table import markdown
from mmcache.tools.tasks.samplers import SAMPLERS, use_sampler
from mmcache_demos.portraits import trade_off
from tests import tiny
from tests.tiny_prompted import SMALL as SMALL_UNET
from tests.tiny_prompted import controlled, inpainting, moving, prompted, with_words

pytestmark = pytest.mark.filterwarnings("ignore:.*leave little to reuse")

PROMPTS = ["a person", "a hat"]
SMALL = {
    "steps": 4,
    "intervals": (2,),
    "branches": (0,),
    "forecasts": (mmcache.Hold(),),
    "policies": (mmcache.Uniform,),
}
LABELS = [
    "full, 4 steps",
    "Uniform(2), Hold(), branch 0",
    "last output repeated, Uniform(2)",
    "no cache, 3 steps",
    "no cache, 2 steps",
]
KEPT = {"sweep.json", "full.npz", "lines.jsonl", "pictures"}
IF_CACHED = {PLAN}  # where the recommended configuration has a plan


@pytest.fixture(autouse=True, scope="module")
def steady_clock():
    """Every call takes a second, so that two sweeps can be equal byte for byte."""
    ticks = itertools.count()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    return mmcache.sweep(prompted(), PROMPTS, folder / "out", **SMALL, guidance_scale=3.0), folder / "out"


def counted(pipe) -> list[int]:
    """Counts the calls of the denoiser."""
    calls = []
    pipe.unet.register_forward_hook(lambda *_: calls.append(1))
    return calls


def called_before():
    """A pipe with the attributes that a call of its own leaves on it."""
    pipe = prompted()
    pipe(PROMPTS, num_inference_steps=1)
    del pipe._progress_bar_config
    return pipe


def files_in(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_control_line_is_always_there(done):
    result, _ = done
    assert [line.label for line in result.results] == LABELS
    for lines in (grid(50, plans=[mmcache.Plan(mmcache.Adaptive(0.1))], intervals=[]), grid(3, [2], [0])):
        assert any(line.kind == "fewer steps, no cache" for line in lines)


def test_each_line_is_what_the_pipeline_itself_draws(done):
    result, folder = done
    with np.load(folder / "full.npz") as stored:
        full = stored["pictures"]
        assert stored["latents"].shape == (4, 2, 4, 8, 8)
    generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
    pipe = prompted()
    call = {"guidance_scale": 3.0, "output_type": "np"}
    own = pipe(PROMPTS, num_inference_steps=4, generator=generators, **call).images
    assert np.array_equal(full, own)
    with mmcache.accelerate(pipe, interval=2, branch=0, forecast=mmcache.Hold()) as session:
        generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
        cached = pipe(PROMPTS, num_inference_steps=4, generator=generators, **call).images
        report = session.report()
    line = result.results[1]
    assert line.each["psnr_db"][1] == pytest.approx(
        -10 * np.log10(np.square(cached[1] - full[1]).mean()), abs=1e-3
    )
    assert (line.full_calls, line.cached_calls, line.macs) == (2, 2, report.macs)
    assert result.full.macs == report.full_macs


def test_costs_of_the_control_lines(done):
    result, _ = done
    full, _, repeated, fewer, fewest = result.results
    assert (full.full_calls, full.cached_calls) == (4, 0)
    assert (repeated.full_calls, repeated.cached_calls) == (2, 2)
    assert result.fewer_macs(repeated) == result.fewer_macs(fewest) == 2
    assert result.fewer_macs(fewer) == pytest.approx(4 / 3)
    assert not full.figures
    assert result.results[1].figures["ssim"].images == 2


def test_latents_are_compared_step_by_step(done):
    cached, repeated, fewer = done[0].results[1:4]
    assert len(cached.latent_error) == len(cached.latent_cosine) == 4
    assert cached.latent_error[0].value == 0 < cached.latent_error[1].value
    assert repeated.latent_error[0].value == 0
    assert len(fewer.latent_error) == 1  # its steps are others, only the last is comparable


def test_what_is_written(done):
    result, folder = done
    assert {path.name for path in folder.iterdir()} - IF_CACHED == {*FILES, *KEPT}
    rows = list(csv.DictReader((folder / "table.csv").read_text().splitlines()))
    assert [row["configuration"] for row in rows] == LABELS
    assert float(rows[1]["psnr_db"]) == result.results[1].figures["psnr_db"].value
    assert rows[0]["psnr_db"] == ""
    assert (rows[1]["policy"], rows[1]["forecast"], rows[1]["branch"]) == ("Uniform", "Hold()", "0")
    table = (folder / "table.md").read_text()
    assert "| Uniform(2), Hold(), branch 0 |" in table
    assert "No MS-SSIM: the images are smaller than 176 pixels." in table
    steps = list(csv.DictReader((folder / "latents.csv").read_text().splitlines()))
    assert [row["step"] for row in steps if row["configuration"] == LABELS[1]] == ["0", "1", "2", "3"]
    assert Image.open(folder / "contact-sheet.png").height > len(LABELS) * 128
    assert Image.open(folder / "pareto.png").width > 600
    assert json.loads(result.as_json())["lines"][1]["fewer_macs"] > 1


def test_the_page_holds_everything_and_needs_nothing_else(done):
    _, folder = done
    text = (folder / "pareto.html").read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    assert [line["label"] for line in data["lines"]] == LABELS
    assert all(line["strip"].startswith("data:image/png;base64,") for line in data["lines"])
    assert not re.search(r'(src|href)="(?!\$|data:)', text)
    assert [axis["key"] for axis in data["x"]] == ["fewer_macs", "speed_up"]


def test_without_macs_and_margins_only_seconds_are_left(done):
    result, _ = done
    lines = [
        replace(
            line, macs=None, figures={key: mean._replace(margin=None) for key, mean in line.figures.items()}
        )
        for line in result.results
    ]
    uncounted = replace(result, results=tuple(lines))
    assert "| Uniform(2), Hold(), branch 0 | - | 1.00x |" in markdown(uncounted)
    assert "±" not in markdown(uncounted).partition("latent")[0]
    assert pareto_png(uncounted).startswith(b"\x89PNG")
    data = page_data(uncounted, lambda _: Image.new("RGB", (8, 8)))
    assert [axis["key"] for axis in data["x"]] == ["speed_up"]
    assert {point.x for point in points(uncounted, PSNR)} == {1}


def test_a_clock_that_the_macs_do_not_explain_is_doubted(done):
    result, _ = done
    slow = replace(result.full, seconds=100.0)
    assert "(100.00x)" in markdown(replace(result, results=(slow, *result.results[1:])))
    assert "In brackets" not in markdown(result)


def test_a_label_cannot_end_the_block_of_data(done):
    result, _ = done
    bad = replace(result, notes=("</script><script>alert(1)</script>",))
    assert "<script>alert" not in page(bad, lambda _: Image.new("RGB", (8, 8)))


def test_lines_are_read_as_they_were_written(done):
    for line in done[0].results:
        assert ConfigurationResult.from_dict(json.loads(json.dumps(line.as_dict()))) == line


STOPS = (3, 2 + 4 + 1, 2 + 4 + 4 + 1, 2 + 4 + 4 + 4 + 2)  # calls of the denoiser
EVERY_STOP = list(itertools.product(STOPS, (KeyboardInterrupt, RuntimeError)))
QUICK_STOPS = (EVERY_STOP[0], EVERY_STOP[3], EVERY_STOP[6])


@pytest.mark.parametrize(
    ("call", "error"),
    [pytest.param(*one, marks=[] if one in QUICK_STOPS else pytest.mark.slow) for one in EVERY_STOP],
)
def test_a_stopped_sweep_goes_on_to_the_same_files(call, error, done, tmp_path):
    pipe = called_before()
    before = anatomy(pipe)
    given = {**SMALL, "guidance_scale": 3.0}
    with failing_denoiser(pipe, call, error("broken")), pytest.raises(error):
        mmcache.sweep(pipe, PROMPTS, tmp_path, **given)
    assert anatomy(pipe) == before
    assert {path.name for path in tmp_path.iterdir()} <= KEPT
    assert not list(tmp_path.rglob("*.part"))
    mmcache.sweep(pipe, PROMPTS, tmp_path, **given)
    assert files_in(tmp_path) == files_in(done[1])


def test_a_finished_sweep_samples_nothing_and_more_lines_only_theirs(done, tmp_path):
    pipe = prompted()
    calls = counted(pipe)
    given = {**SMALL, "guidance_scale": 3.0}
    mmcache.sweep(pipe, PROMPTS, tmp_path, **given)
    calls.clear()
    mmcache.sweep(pipe, PROMPTS, tmp_path, **given)
    assert not calls
    more = mmcache.sweep(pipe, PROMPTS, tmp_path, **(given | {"branches": (0, 1)}))
    assert len(calls) == 2 + 4  # warm-up and the new line
    assert [line.label for line in more.results][1:3] == [LABELS[1], "Uniform(2), Hold(), branch 1"]
    assert more.results[1] == done[0].results[1]


@pytest.mark.parametrize(
    ("message", "changes"),
    [
        ("steps: 4 there, 5 now", {"steps": 5}),
        ("guidance_scale: 3.0 there, 7.5 now", {"guidance_scale": None}),
        ("seeds", {"seed": 7}),
        ("batch: 8 there, 1 now", {"batch": 1}),
        ("figures", {"figures": [Figure("mine", "mine", lambda *_: [1.0, 1.0], digits=1)]}),
    ],
)
def test_another_sweep_in_the_folder_is_refused_before_sampling(message, changes, done):
    pipe = prompted()
    calls, before = counted(pipe), files_in(done[1])
    with pytest.raises(ValueError, match=f"other settings is in it .*{message}"):
        mmcache.sweep(pipe, PROMPTS, done[1], **(SMALL | {"guidance_scale": 3.0} | changes))
    assert not calls
    assert files_in(done[1]) == before


def test_other_weights_and_another_scheduler_are_another_sweep(done):
    pipe = prompted()
    with torch.no_grad():
        pipe.unet.conv_in.weight[0, 0, 0, 0] += 1
    with pytest.raises(ValueError, match="weights"):
        mmcache.sweep(pipe, PROMPTS, done[1], **SMALL, guidance_scale=3.0)
    pipe = prompted()
    use_sampler(pipe, "plms")
    with pytest.raises(ValueError, match="schedulers"):
        mmcache.sweep(pipe, PROMPTS, done[1], **SMALL, guidance_scale=3.0)


def test_a_folder_with_something_else_in_it(tmp_path):
    (tmp_path / "lines.jsonl").write_text("{")
    with pytest.raises(ValueError, match=r"its sweep\.json is missing"):
        mmcache.sweep(prompted(), PROMPTS, tmp_path, **SMALL)
    (tmp_path / "full.npz").touch()
    (tmp_path / "sweep.json").write_text("{")
    with pytest.raises(ValueError, match="is not what a sweep has written"):
        mmcache.sweep(prompted(), PROMPTS, tmp_path, **SMALL)


def wrong(exception, message, prompts=PROMPTS, **options):
    return pytest.param(exception, message, prompts, options, id=message)


@pytest.mark.parametrize(
    ("exception", "message", "prompts", "options"),
    [
        wrong(ValueError, "list of prompts is empty", prompts=[]),
        wrong(ValueError, "prompt is empty", prompts=["a person", " "]),
        wrong(ValueError, "needs a prompt", prompts=None),
        wrong(ValueError, "wanted several", prompts="a person"),
        wrong(ValueError, "steps=1", steps=1),
        wrong(ValueError, "seeds=0", seeds=0),
        wrong(ValueError, "batch=0", batch=0),
        wrong(ValueError, "interval=0", intervals=[0]),
        wrong(ValueError, "interval=1: interval 1 is the full run", intervals=[1]),
        wrong(ValueError, "nothing to sweep", intervals=[]),
        wrong(ValueError, "has 4 branches", branches=[4]),
        wrong(ValueError, "Did you mean 'guidance_rescale'", guidance_resale=0.5),
        wrong(ValueError, "num_images_per_prompt=...: give seeds", num_images_per_prompt=2),
        wrong(ValueError, "10 steps", plans=[mmcache.Plan(mmcache.Uniform(3), branch=[0] * 10)]),
    ],
)
def test_bad_input_is_refused_before_sampling(exception, message, prompts, options, tmp_path):
    pipe = prompted()
    calls, before = counted(pipe), anatomy(pipe)
    with pytest.raises(exception, match=message):
        mmcache.sweep(pipe, prompts, tmp_path / "out", **(SMALL | options))
    assert not calls
    assert anatomy(pipe) == before
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_swept(tmp_path, monkeypatch):
    with pytest.raises(UnsupportedPipelineError, match="whole pipeline"):
        mmcache.sweep(prompted().unet, PROMPTS, tmp_path)
    pipe = prompted()
    with mmcache.accelerate(pipe), pytest.raises(ValueError, match="already accelerated"):
        mmcache.sweep(pipe, PROMPTS, tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="nothing can be written"):
        mmcache.sweep(pipe, PROMPTS, tmp_path / "file", **SMALL)
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r'pip install "mmcache\[plot\]"'):
        mmcache.sweep(pipe, PROMPTS, tmp_path)


def test_a_pipeline_without_a_prompt_and_without_latents(tmp_path):
    result = mmcache.sweep(tiny.ddpm(), None, tmp_path, seeds=3, **SMALL)
    assert result.results[1].figures["psnr_db"].images == 3
    assert not result.results[1].latent_error
    assert "latent" not in (tmp_path / "table.md").read_text()


@pytest.mark.parametrize(
    ("pipe", "call"),
    [
        (controlled, {"image": Image.effect_noise((32, 32), 60).convert("RGB")}),
        (
            inpainting,
            {"image": Image.new("RGB", (32, 32)), "mask_image": Image.new("L", (32, 32), 255)},
        ),
        (moving, {"num_frames": 2}),
    ],
)
def test_other_tasks(pipe, call, tmp_path):
    call = {"negative_prompt": "a dog", **call}
    result = mmcache.sweep(pipe(), PROMPTS, tmp_path, batch=2, **SMALL, **call)
    assert [line.label for line in result.results] == LABELS
    assert result.fewer_macs(result.results[1]) > 1
    assert ("vmaf" in result.results[1].figures) == (pipe is moving)
    assert result.settings["inputs"].keys() == {name for name in call if "image" in name}


def test_batches_give_the_same_pictures(done, tmp_path):
    alone = mmcache.sweep(prompted(), PROMPTS, tmp_path, batch=1, **SMALL, guidance_scale=3.0)
    for line, other in zip(alone.results[1:], done[0].results[1:], strict=True):
        assert line.macs == other.macs
        assert line.figures["psnr_db"].value == pytest.approx(other.figures["psnr_db"].value, abs=0.1)


def test_the_last_output_is_repeated_and_the_pipe_left_as_it_was():
    pipe = tiny.small()
    calls: list[int] = []
    pipe.unet.conv_in.register_forward_hook(lambda *_: calls.append(1))
    tiny.sample(pipe)  # a call leaves attributes of its own
    before = anatomy(pipe)
    with repeating_last_output(pipe, mmcache.Uniform(1)):
        every = tiny.sample(pipe)
    with repeating_last_output(pipe, mmcache.Uniform(4)) as (placed,):
        calls.clear()
        tiny.sample(pipe)
        assert (len(calls), placed.repeated) == (3, 7)
        assert torch.equal(tiny.sample(pipe, seed=1), tiny.sample(pipe, seed=1))
    assert anatomy(pipe) == before
    assert torch.equal(every, tiny.sample(pipe))


def test_grid_and_controls():
    lines = grid(50)
    assert len({line.label for line in lines}) == len(lines) == 1 + 36 + 3 + 4
    assert isinstance(lines[0], Full)
    assert [line.label for line in lines[-4:]] == [f"no cache, {steps} steps" for steps in (33, 25, 17, 10)]
    assert fewer_steps(2, [5]) == [1]
    assert policy_of(mmcache.NonUniform, 3, 50) == mmcache.NonUniform(3, 15, 1.3)
    assert policy_of(mmcache.NonUniform, 3, 250).center == 75
    same = mmcache.Plan(mmcache.Uniform(2), mmcache.Hold())
    assert len(grid(50, [2], [0], [mmcache.Hold()], [mmcache.Uniform], plans=[same])) == 1 + 1 + 1 + 2


def test_labels_tell_plans_apart():
    plans = [
        mmcache.Plan(mmcache.Uniform(3, warmup=2)),
        mmcache.Plan(mmcache.StepMask(range(0, 40, 2))),
        mmcache.Plan(mmcache.StepMask(range(0, 40, 3))),
        mmcache.Plan(mmcache.Uniform(3), branch=[0, 1] * 20),
        mmcache.Plan(mmcache.Uniform(3), branch=[1, 0] * 20),
    ]
    labels = [Cached(40, plan).label for plan in plans]
    assert len(set(labels)) == len(plans)
    assert labels[0] == "Uniform(3, warmup=2), DefaultForecast(), branch 0"
    assert max(map(len, labels)) < 80
    assert short(mmcache.Adaptive(0.1)) == "Adaptive(0.1)"


def test_the_pareto_front():
    at = [(1.5, 50), (2, 60), (2, 55), (3, 40), (2.5, 39)]
    found = [Point(x, y, 0, None) for x, y in at]
    assert [(point.x, point.y) for point in pareto_front(found, higher_is_better=True)] == [(2, 60), (3, 40)]
    least = pareto_front(found, higher_is_better=False)
    assert [(point.x, point.y) for point in least] == [(2.5, 39), (3, 40)]


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers(name):
    pipe = tiny.small()
    use_sampler(pipe, name)
    assert tiny.sample(pipe).isfinite().all()


def test_the_programs_table_of_the_miniature(tmp_path, monkeypatch, capsys):
    for name, few in (("INTERVALS", (2,)), ("BRANCHES", (0,)), ("THRESHOLDS", (0.1,))):
        monkeypatch.setattr(trade_off, name, few)
    monkeypatch.setattr(trade_off, "FORECASTS", (mmcache.Hold(),))
    with_words(tiny.stable_diffusion(**SMALL_UNET | {"sample_size": 32})).save_pretrained(tmp_path / "model")
    trade_off.main(model=tmp_path / "model", count=2, steps=4, out=tmp_path / "out")
    said = capsys.readouterr().out
    for label in (
        "Uniform(8), Hold()",
        "Uniform(2, warmup=2), Taylor(1)",
        "Adaptive(0.1), Taylor(1)",
        "no cache",
    ):
        assert f"| {label}" in said
    assert "drawn as asked, %" in said


# At the command line


@pytest.fixture
def shipped(monkeypatch, tmp_path):
    """A tiny pipe in the place of every miniature; `calls` counts its denoiser's."""
    monkeypatch.chdir(tmp_path)
    pipe = prompted()
    monkeypatch.setattr(mmcache_demos, "load_miniature", lambda _: pipe)
    return SimpleNamespace(folder=tmp_path, calls=counted(pipe))


FEW = ["--steps", "4", "--intervals", "2", "--branches", "0", "--forecasts", "hold", "--policies", "uniform"]
LARGE = ["--height", "64", "--width", "64"]  # as the classifier of attributes wants them


def run(*arguments):
    return CliRunner().invoke(app, ["sweep", *map(str, arguments)])


def test_the_command_writes_and_prints(shipped):
    (shipped.folder / "prompts.txt").write_text("a person\n\na hat\na dog\n")
    ran = run("--prompts", "prompts.txt", "--count", "2", *FEW, "--scheduler", "pndm")
    assert ran.exit_code == 0, ran.output
    assert {path.name for path in (shipped.folder / "mmcache-sweep").iterdir()} - IF_CACHED == {*FILES, *KEPT}
    said = " ".join(ran.stdout.split())
    for words in ("no cache, 2 steps", "1.67x", "PNDMScheduler", "contact-sheet.png", "No LPIPS:"):
        assert words in said
    shipped.calls.clear()
    again = run("--prompts", "prompts.txt", "--count", "2", *FEW, "--scheduler", "pndm", "--json")
    assert not shipped.calls
    assert json.loads(again.stdout)["settings"]["prompts"] == ["a person", "a hat"]


def test_the_miniatures_captions_are_judged_by_their_attributes(shipped):
    ran = run("--count", "2", *FEW, *LARGE, "--plan", "fast", "--no-last-output", "--json")
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert "attribute_accuracy" in found["lines"][0]["figures"]
    fast = str(mmcache.load_plan(mmcache.presets()["fast"]))
    short = fast.replace("interval=5", "5").replace("order=1", "1")
    assert [line["label"] for line in found["lines"]][:3] == [*LABELS[:2], short]


def test_a_stop_at_the_command_line_says_how_to_go_on(shipped, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("mmcache.tools.sweeping.sweep.generate", interrupt)
    ran = run("--count", "2", *FEW)
    assert ran.exit_code == 130
    assert "the same command goes on" in ran.stderr


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("there is no such file of prompts", ["--prompts", "missing.txt"]),
        ("has 0 prompts", ["--prompts", "empty.txt"]),
        ("has 1 prompts, wanted 3", ["--prompts", "one.txt", "--count", "3"]),
        ("is no whole number", ["--intervals", "2;3"]),
        ("interval 1 is the full run", ["--intervals", "1"]),
        ("unknown forecast 'taylr1'. Did you mean 'taylor1'", ["--forecasts", "taylr1"]),
        ("unknown policy 'adaptive'", ["--policies", "adaptive"]),
        ("unknown scheduler 'dimm'. Did you mean 'ddim'", ["--scheduler", "dimm"]),
        ("unknown preset", ["--plan", "no-such-preset"]),
        ("Did you mean 'inpaint'", ["--task", "inpainting"]),
        ("steps=0", ["--steps", "0"]),
        ("no LPIPS: nowhere.pth", ["--lpips", "nowhere.pth"]),
        ("is no folder of a CLIP model", ["--clip", "nowhere"]),
        ("has 4 branches", ["--branches", "9"]),
        ("is not a folder", ["--out", "one.txt"]),
        ("no such folder", ["--model", "no/such/folder", "--prompts", "one.txt"]),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(message, arguments, shipped):
    (shipped.folder / "empty.txt").touch()
    (shipped.folder / "one.txt").write_text("a person")
    ran = run(*arguments)
    assert ran.exit_code == 2, ran.output
    assert message in ran.stderr
    assert len(ran.stderr.splitlines()) == 1
    assert not shipped.calls
    assert {path.name for path in shipped.folder.iterdir()} == {"empty.txt", "one.txt"}


def test_a_model_of_ones_own_wants_prompts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    prompted().save_pretrained(tmp_path / "model")
    ran = run("--model", "model", *FEW)
    assert ran.exit_code == 2
    assert "wants prompts, so give --prompts FILE" in ran.stderr
    (tmp_path / "prompts.txt").write_text("a person")
    assert run("--model", "model", "--prompts", "prompts.txt", *FEW).exit_code == 0
