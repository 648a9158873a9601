"""Sweeps and searches: one at a time in a folder, gone on with after a stop, one recommendation."""

import json
import subprocess
import sys
from dataclasses import replace
from itertools import combinations

import pytest
from typer.testing import CliRunner

import mmcache
import mmcache_demos
from mmcache.cli import app
from mmcache.plans.policy import Adaptive, Uniform
from mmcache.testing.probes import failing_denoiser
from mmcache.tools.calibrating.calibrate import RECORDING
from mmcache.tools.quality.confidence import Mean
from mmcache.tools.running.journal import Journal, journal_at
from mmcache.tools.running.only_one import LOCK, only_one
from mmcache.tools.running.run_progress import (
    CallTime,
    duration,
    full_steps_worth,
    measure_call,
    run_progress,
)
from mmcache.tools.sweeping.recommendation import recommended, sentence
from mmcache.tools.tuning import tune as tuning
from mmcache.tools.tuning.candidates import METHODS, Candidate
from mmcache.tools.tuning.schedule import with_full
from mmcache.tools.tuning.search import evenly_spaced
from mmcache.tools.tuning.tuned_table import recommendation
from tests.tiny_prompted import prompted

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*leave little to reuse"),
    pytest.mark.filterwarnings("ignore:.*are few to choose"),
]

PROMPTS = ["a lighthouse", "a red door", "a cat"]
TUNE = {"speedup": 1.5, "steps": 8, "runs": 4}
HOLDING = """
import sys, time
from pathlib import Path
from mmcache.tools.running.only_one import only_one
with only_one(Path(sys.argv[1]), "sweep"):
    print("here", flush=True)
    time.sleep(60)
"""


def test_two_in_one_folder_know_of_each_other(tmp_path):
    other = subprocess.Popen([sys.executable, "-c", HOLDING, tmp_path], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "here\n"
        with pytest.raises(ValueError, match="another sweep"), only_one(tmp_path, "sweep"):
            pass
    finally:
        other.kill()
        other.wait()
    with only_one(tmp_path, "sweep"):  # of a process that was killed nothing is in the way
        assert (tmp_path / LOCK).exists()
    assert not list(tmp_path.iterdir())
    with only_one(tmp_path / "new", "sweep"):
        pass
    assert not (tmp_path / "new").exists()


def test_a_sweep_in_a_folder_at_work_is_refused(tmp_path):
    with only_one(tmp_path, "sweep"), pytest.raises(ValueError, match="another sweep"):
        mmcache.sweep(prompted(), PROMPTS[:1], tmp_path, steps=2, intervals=[2], branches=[0])


@pytest.fixture(scope="module")
def uninterrupted():
    return mmcache.tune(prompted(), PROMPTS, **TUNE)


@pytest.mark.parametrize("at_call", [5, pytest.param(30, marks=pytest.mark.slow), 60])
def test_a_search_goes_on_where_it_was_stopped(at_call, uninterrupted, tmp_path):
    pipe, folder = prompted(), tmp_path / "runs"
    stop = failing_denoiser(pipe, at_call, KeyboardInterrupt())
    with journal_at(folder, "tune") as journal, stop, pytest.raises(KeyboardInterrupt):
        mmcache.tune(pipe, PROMPTS, **TUNE, journal=journal)
    with journal_at(folder, "tune") as journal:
        found = mmcache.tune(pipe, PROMPTS, **TUNE, journal=journal)
        assert (journal.found > 0) == (at_call > 5)
        journal.end()
    assert found.plan == uninterrupted.plan
    assert found.test == uninterrupted.test
    assert found.runs + journal.found >= uninterrupted.runs
    assert not folder.exists()


def test_a_calibration_goes_on_where_it_was_stopped(tmp_path):
    pipe, given = prompted(), {"costs": [2, 4], "held_out": PROMPTS[:1], "steps": 8}
    whole = mmcache.calibrate(pipe, PROMPTS, **given)
    with journal_at(tmp_path / "runs", "calibrate") as journal:
        with failing_denoiser(pipe, 25, KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):
            mmcache.calibrate(pipe, PROMPTS, **given, journal=journal)
        assert journal.has_arrays(RECORDING)
    with journal_at(tmp_path / "runs", "calibrate") as journal:
        again = mmcache.calibrate(pipe, PROMPTS, **given, journal=journal)
    assert again.plans == whole.plans
    assert again.measured == whole.measured
    with journal_at(tmp_path / "runs", "calibrate") as journal, pytest.raises(ValueError, match="batch"):
        mmcache.calibrate(pipe, PROMPTS, **given, journal=journal, batch=1)


def test_a_journal_with_half_a_line_is_read_up_to_it(tmp_path):
    journal = Journal(tmp_path / "runs")
    journal.begin({"steps": 4})
    assert journal.values("a", lambda: [1.0, 2.0]) == [1.0, 2.0]
    with (tmp_path / "runs" / "values.jsonl").open("a") as opened:
        opened.write('["b", [3.')
    again = Journal(tmp_path / "runs")
    again.begin({"steps": 4})
    assert again.values("a", lambda: [9.0]) == [1.0, 2.0]
    assert again.values("b", lambda: [9.0]) == [9.0]


def test_a_plan_that_is_worse_than_even_spacing_is_not_written(monkeypatch, tmp_path):
    """The search is made to find the worst plan of its cost."""

    def worst(model, costs, trials, branches, speedup, runs):
        count = costs.affordable(model.steps, speedup, 0)
        schedules = combinations(range(1, model.steps), count - 1)
        plans = [Candidate(with_full(model.steps, [0, *one], 0), METHODS[0], 0) for one in schedules]
        return min(plans, key=lambda one: trials.psnr(one.plan(model)).mean())

    monkeypatch.setattr(tuning, "best_at_cost", worst)
    found = mmcache.tune(prompted(), PROMPTS, **TUNE | {"speedup": 2.0})
    assert found.rejected is not None
    assert found.rejected.value < found.test.value == max(mean.value for mean in found.baselines.values())
    found.save(tmp_path / "plan.yaml")
    written = mmcache.load_plan(tmp_path / "plan.yaml")
    assert written.policy.full == tuple(evenly_spaced(8, len(written.policy.full)))
    assert "evenly spaced" in written.evidence
    assert "evenly spaced" in recommendation(found, tmp_path)
    assert json.loads(found.as_json())["psnr_db"]["rejected"]["value"] == found.rejected.value


@pytest.mark.filterwarnings("default:.*are few to choose")
def test_few_prompts_are_warned_of():
    with pytest.warns(UserWarning, match="3 prompts are few"):
        mmcache.tune(prompted(), PROMPTS, **TUNE | {"runs": 1})


def test_the_commands_say_what_is_to_come_and_how_to_go_on(monkeypatch, elsewhere):
    pipe = prompted()
    monkeypatch.setattr(mmcache_demos, "load_miniature", lambda _: pipe)
    (elsewhere / "prompts.txt").write_text("\n".join(PROMPTS))
    words = ["--prompts", "prompts.txt", "--steps", "8"]
    tune = ["tune", "--speedup", "1.5", "--runs", "2", "--out", "plan.yaml", *words]
    with failing_denoiser(pipe, 60, KeyboardInterrupt()):
        done = CliRunner().invoke(app, tune)
    assert done.exit_code == 130
    assert "the same command goes on" in done.stderr
    assert (elsewhere / ".plan.yaml.runs").is_dir()
    done = CliRunner().invoke(app, tune)
    assert done.exit_code == 0, done.output
    assert "runs at most, of 1 images, about" in done.stderr
    assert done.stdout.splitlines()[-1].startswith("Recommended: ")
    assert {path.name for path in elsewhere.iterdir()} == {"prompts.txt", "plan.yaml"}
    done = CliRunner().invoke(app, ["calibrate", "--costs", "2,4", "--out", "plans.yaml", *words])
    assert done.exit_code == 0, done.output
    assert "calibrate: 3 runs" in done.stderr
    assert "--plan plans.yaml#2x" in done.stdout.splitlines()[-1]
    assert {path.name for path in elsewhere.iterdir()} == {"prompts.txt", "plan.yaml", "plans.yaml"}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("swept")
    grid = {"intervals": [2], "branches": [0], "forecasts": [mmcache.Hold()], "policies": [Uniform]}
    return mmcache.sweep(prompted(), PROMPTS[:2], folder, steps=4, **grid)


def with_psnr(sweep, by_kind):
    """The same sweep with other PSNR: by the kind of configuration."""
    results = [
        replace(one, figures={"psnr_db": Mean(by_kind[one.kind], 1.0, 2)} if one.kind in by_kind else {})
        for one in sweep.results
    ]
    return replace(sweep, results=tuple(results))


def test_the_recommendation_is_what_saves_most_and_is_close(swept):
    close = recommended(with_psnr(swept, {"cached": 50.0, "fewer steps, no cache": 30.0}))
    assert close.result.kind == "cached"
    assert "40 dB or more" in close.why
    far = recommended(with_psnr(swept, {"cached": 35.0, "fewer steps, no cache": 30.0}))
    assert "none has a PSNR of 40 dB" in far.why
    control = with_psnr(swept, {"cached": 35.0, "fewer steps, no cache": 38.0})
    better = recommended(control)
    assert better.result.kind == "fewer steps, no cache"
    assert "38.0 dB" in sentence(control, better)
    assert recommended(with_psnr(swept, {})) is None


def test_the_recommended_plan_is_a_file(swept):
    chosen = recommended(swept)
    files = {file.name: file for file in swept.files}
    assert ("recommended.yaml" in files) == (chosen.result.plan is not None)
    assert swept.as_dict()["recommended"]["label"] == chosen.result.label


def test_lengths_of_time_are_estimated_and_said(capsys):
    assert full_steps_worth(mmcache.Plan(Uniform(5)), 50) == pytest.approx(10 + 0.2 * 40)
    assert full_steps_worth(mmcache.Plan(Adaptive(0.1)), 10) == pytest.approx(5 + 0.2 * 5)
    time = measure_call(lambda steps: 1.0 + 0.5 * steps, 50)
    assert (time.once, time.step) == pytest.approx((1.0, 0.5))
    assert CallTime(1.0, 0.5).of(8, 50) == 8 * 26
    assert [duration(seconds) for seconds in (0.2, 40, 400, 9000)] == ["1 s", "40 s", "7 min", "2 h 30 min"]
    with run_progress("sweep", 3, 60.0, True, more=" of 8 images") as progress:
        progress.finish_run(20.0)
        assert progress.left() < 60.0
    assert "sweep: 3 runs of 8 images, about 60 s" in capsys.readouterr().err
    with run_progress("sweep", 3, 60.0, False):
        pass
    assert not capsys.readouterr().err
