"""Calibration: what is predicted is what happens, and what is found keeps its price."""

import json
import warnings

import numpy as np
import pytest
import torch
from diffusers import PNDMScheduler
from typer.testing import CliRunner

import mmcache
from mmcache import Fitted, Plan, StepMask, Taylor, UnsupportedPipelineError, accelerate, tune
from mmcache.api.resolved_pipeline import find_denoisers
from mmcache.api.session import session_of
from mmcache.cli import app
from mmcache.plans.forecast import Observation
from mmcache.tools.running.requests import image_requests
from mmcache.tools.tuning.candidates import METHODS, Candidate
from mmcache.tools.tuning.error_model import ErrorModel
from mmcache.tools.tuning.recording import record
from mmcache.tools.tuning.runs import Trials
from mmcache.tools.tuning.schedule import FULL, StepCosts, full_steps, sources, with_full
from mmcache.tools.tuning.search import best_spacing, evenly_spaced, improved
from tests import tiny
from tests.tiny_prompted import prompted

STEPS = 10
PROMPTS = ["a lighthouse", "a red door", "a cat"]


@pytest.fixture(scope="module")
def pipe():
    return prompted()


def model_of(features: np.ndarray, reach: np.ndarray | None = None) -> ErrorModel:
    """An error model of given features, (steps, numbers)."""
    steps = len(features)
    times = [1000.0 - 20 * step for step in range(steps)]
    return ErrorModel(times, {0: features @ features.T}, {0: np.ones(steps) if reach is None else reach})


@pytest.fixture
def wandering() -> ErrorModel:
    """Features that drift, as those of a denoiser do."""
    chance = np.random.default_rng(0)
    return model_of(np.cumsum(chance.normal(size=(16, 40)), axis=0), chance.uniform(0.5, 2.0, 16))


def test_sources_are_the_last_steps_that_ran_deeper():
    schedule = (FULL, 0, 2, 1, FULL, 0, 0)
    times = [9, 8, 7, 6, 5, 4, 3]
    assert sources(schedule, times, 3)[5] == [2, 3, 4]
    assert sources(schedule, times, 9)[3] == [0, 2]
    # Of two steps at one time the last.
    assert sources(schedule, [9, 8, 7, 7, 5, 4, 3], 9)[6] == [0, 3, 4]


def test_the_predicted_error_is_that_of_the_features():
    features = np.random.default_rng(1).normal(size=(6, 30))
    reach = np.array([1.0, 2.0, 3.0, 1.0, 0.5, 1.0])
    model = model_of(features, reach)
    schedule = with_full(6, [0, 1, 4], 0)
    reuse = model.extrapolated(schedule, order=1)
    times = model.times
    each = []
    for step in (2, 3, 5):
        past = [Observation(times[s], (torch.tensor(features[s]),)) for s in full_steps(schedule) if s < step]
        (guess,) = Taylor(1).at(times[step], past[-2:])
        each.append(reach[step] * (features[step] - guess.numpy()))
    expected = np.square(np.sum(each, axis=0)).sum() + 0.2 * np.square(each).sum()
    assert model.error(reuse) ** 2 == pytest.approx(expected)


def test_fitted_weights_have_the_least_error(wandering):
    schedule = with_full(16, evenly_spaced(16, 5), 0)
    for memory in (1, 2, 3):
        fitted = wandering.fitted(schedule, memory)
        least = wandering.error(fitted)
        assert least < wandering.error(wandering.extrapolated(schedule, memory - 1))
        for step, one in fitted.items():
            for change in (-0.05, 0.05):
                other = fitted | {step: one._replace(weights=one.weights + change)}
                assert wandering.error(other) > least


def test_spacing_is_the_best_of_all():
    from itertools import combinations

    chance = np.random.default_rng(2)
    model = model_of(np.cumsum(chance.normal(size=(9, 20)), axis=0), chance.uniform(0.2, 3.0, 9))

    def cost(full: list[int]) -> float:
        schedule = with_full(9, full, 0)
        reused = sources(schedule, model.times, 2)
        return sum(model.step_error(0, step, steps) for step, steps in reused.items())

    every = [[0, *rest] for rest in combinations(range(1, 9), 3)]
    assert cost(best_spacing(model, 4, 0)) == pytest.approx(min(map(cost, every)))


def test_improving_never_makes_it_worse_and_keeps_the_price(wandering):
    for method in METHODS:
        start = with_full(16, evenly_spaced(16, 5), 0)

        def error(schedule, method=method):
            return Candidate(schedule, method, 0).error(wandering)

        found = improved(start, 0, error)
        assert error(found) <= error(start)
        assert len(full_steps(found)) == 5
        assert found[0] is FULL


@pytest.mark.parametrize("speedup", [1.5, 2.0, 3.0])
def test_a_price_is_kept_as_closely_as_steps_allow(speedup):
    prices = StepCosts(100, {0: 20})
    count = prices.affordable(50, speedup, 0)
    assert prices.speedup(with_full(50, evenly_spaced(50, count), 0)) >= speedup
    assert prices.speedup(with_full(50, evenly_spaced(50, count + 1), 0)) < speedup


def test_a_recording_holds_times_products_reach_and_prices_and_leaves_the_pipe(pipe):
    settings = {"num_inference_steps": STEPS, "guidance_scale": 3.0}
    trials = Trials(pipe, image_requests(PROMPTS, 1, 0), settings, batch=2)
    model, prices = record(trials, "unet", [0], STEPS)
    assert model.times == sorted(model.times, reverse=True)
    assert model.gram[0].shape == (STEPS, STEPS)
    assert np.allclose(model.gram[0], model.gram[0].T)
    assert np.linalg.eigvalsh(model.gram[0]).min() > -1e-6 * np.trace(model.gram[0])
    assert (model.reach[0] > 0).all()
    assert prices.full > prices.cached[0] > 0
    assert session_of(pipe) is None


def test_fitted_weights_that_extrapolate_draw_what_taylor_draws():
    pipe = tiny.stable_diffusion()
    schedule = with_full(tiny.STEPS, [0, 2, 5, 8], 0)
    pipe.scheduler.set_timesteps(tiny.STEPS)
    times = [float(time) for time in pipe.scheduler.timesteps]
    model = ErrorModel(times, {0: np.eye(tiny.STEPS)}, {0: np.ones(tiny.STEPS)})
    reuse = model.extrapolated(schedule, 1)
    fitted = Fitted([list(reuse[step].weights) if step in reuse else [] for step in range(tiny.STEPS)])
    drawn = []
    for forecast in (Taylor(1), fitted):
        with accelerate(pipe, Plan(StepMask(full_steps(schedule)), forecast)):
            drawn.append(tiny.sample(pipe))
    assert torch.allclose(torch.as_tensor(drawn[0]), torch.as_tensor(drawn[1]), atol=1e-5)


@pytest.mark.parametrize("branches", [pytest.param((0,), marks=pytest.mark.slow), (0, 1)])
def test_a_sampler_that_runs_more_steps_than_it_is_asked_for(branches):
    pipe = prompted()
    pipe.scheduler = PNDMScheduler.from_config(pipe.scheduler.config, skip_prk_steps=True)
    found = tune(pipe, PROMPTS, speedup=1.3, steps=6, branches=branches, runs=2)
    assert found.plan.calibrated_for.steps == 7  # PLMS calls the denoiser once more
    with accelerate(pipe, found.plan) as session:
        pipe("a cat", num_inference_steps=6, output_type="np")
        part = session.report().denoisers[0]
    assert part.full_macs / part.macs == pytest.approx(found.speedup, rel=1e-6)


@pytest.fixture(scope="module")
def tuned(pipe):
    return tune(pipe, PROMPTS, speedup=1.5, steps=STEPS, runs=8)


def test_a_tuned_plan_keeps_its_price_and_says_what_it_was_made_for(pipe, tuned):
    assert tuned.speedup >= 1.5
    assert tuned.plan.calibrated_for.steps == STEPS
    assert tuned.plan.calibrated_for.scheduler == type(pipe.scheduler).__name__
    assert "PSNR to the full run" in tuned.plan.evidence
    with accelerate(pipe, tuned.plan) as session:
        pipe("a lighthouse", num_inference_steps=STEPS, output_type="np")
        part = session.report().denoisers[0]
    assert part.full_macs / part.macs == pytest.approx(tuned.speedup, rel=1e-6)


def test_it_is_at_least_as_good_as_the_evenly_spaced_one_where_it_was_chosen(pipe):
    settings = {"num_inference_steps": STEPS}
    found = tune(pipe, PROMPTS, held_out=PROMPTS[:1], speedup=1.5, steps=STEPS, runs=4)
    trials = Trials(pipe, image_requests(PROMPTS, 1, 0), settings, batch=4)
    count = len(found.plan.policy.full)
    even = Plan(StepMask(evenly_spaced(STEPS, count)), Taylor(1))
    assert trials.psnr(found.plan).mean() >= trials.psnr(even).mean()


def test_the_cheapest_plan_that_is_close_enough_is_close_enough(pipe):
    found = tune(pipe, PROMPTS, psnr=30.0, steps=STEPS, runs=4)
    assert found.validation.value >= 30.0


def test_the_same_again_gives_the_same_plan(pipe, tuned):
    again = tune(pipe, PROMPTS, speedup=1.5, steps=STEPS, runs=8)
    assert again.plan == tuned.plan


def test_the_file_holds_the_plan(tuned, tmp_path):
    tuned.save(tmp_path / "plan.yaml")
    assert mmcache.load_plan(tmp_path / "plan.yaml") == tuned.plan


def test_another_number_of_steps_is_refused_and_another_sampler_warned_of(pipe, tuned):
    with accelerate(pipe, tuned.plan), pytest.raises(ValueError, match=r"for_steps\(7\)"):
        pipe("a cat", num_inference_steps=7)
    before = pipe.scheduler
    try:
        pipe.scheduler = tiny.EulerDiscreteScheduler()
        with pytest.warns(UserWarning, match="not measured here"), accelerate(pipe, tuned.plan) as session:
            assert any("EulerDiscreteScheduler" in note for note in session.report().notes)
    finally:
        pipe.scheduler = before
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        accelerate(pipe, tuned.plan).restore()
    with pytest.raises(ValueError, match="calibrated for another class"):
        accelerate(tiny.unconditional_unet(), tuned.plan)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "one goal"),
        ({"speedup": 2.0, "psnr": 30.0}, "one goal"),
        ({"speedup": 1.0}, "more than 1"),
        ({"speedup": 1000.0}, "cannot take 1000 times fewer"),
        ({"speedup": 2.0, "prompts": PROMPTS[:2]}, "at least 3"),
        ({"speedup": 2.0, "prompts": ["", "a", "b"]}, "empty"),
        ({"speedup": 2.0, "branches": [99]}, "branches"),
        ({"speedup": 2.0, "hight": 32}, "hight"),
    ],
)
def test_bad_input_is_refused_and_the_pipe_untouched(pipe, wrong, message):
    before = dict(vars(pipe.unet))
    given = {"prompts": PROMPTS, "steps": 4, "runs": 2} | wrong
    with pytest.raises(ValueError, match=message):
        tune(pipe, given.pop("prompts"), **given)
    assert dict(vars(pipe.unet)) == before


def test_several_denoisers_are_refused(pipe, monkeypatch):
    found = find_denoisers(pipe)
    monkeypatch.setattr(
        "mmcache.tools.tuning.tune.find_denoisers", lambda pipe: found | {"prior": found["unet"]}
    )
    with pytest.raises(UnsupportedPipelineError, match="unet, prior"):
        tune(pipe, PROMPTS, speedup=2.0)


@pytest.fixture(scope="module")
def folder(pipe, tmp_path_factory):
    place = tmp_path_factory.mktemp("model")
    pipe.save_pretrained(place)
    (place / "prompts.txt").write_text("\n".join(PROMPTS) + "\n\n")
    return place


def command(*arguments):
    return CliRunner().invoke(app, ["tune", *(str(argument) for argument in arguments)])


def test_the_command_writes_a_plan_file_and_prints_its_figures(folder, tmp_path):
    given = ["--model", folder, "--prompts", folder / "prompts.txt", "--steps", 8, "--runs", 2]
    done = command("--speedup", 1.5, *given, "--out", tmp_path / "plan.yaml")
    assert done.exit_code == 0, done.output
    assert mmcache.load_plan(tmp_path / "plan.yaml").calibrated_for.steps == 8
    for words in ("tuned", "test", "evenly spaced", "Hold()", "Taylor(order=1)", "fewer denoiser MACs"):
        assert words in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([], "one goal"),
        (["--speedup", 2, "--branches", "x"], "no whole number"),
        (["--speedup", 2, "--prompts", "nowhere.txt"], "no such file of prompts"),
        (["--speedup", 2, "--task", "video"], "unknown task"),
        (["--speedup", 2, "--out", "."], "is a folder"),
    ],
)
def test_the_command_refuses_before_anything_is_loaded(wrong, message, folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mmcache.tools.tasks.tasks.load_for", lambda *_: pytest.fail("loaded"))
    done = command("--model", folder, *wrong)
    assert done.exit_code == 2
    assert message in done.stderr
    assert not list(tmp_path.iterdir())


def test_without_a_model_it_is_the_shipped_miniature(pipe, monkeypatch, tmp_path):
    monkeypatch.setattr("mmcache_demos.load_miniature", lambda _: pipe)
    done = command("--speedup", 1.5, "--steps", 6, "--runs", 1, "--out", tmp_path / "plan.yaml", "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["plan"]["calibrated_for"]["steps"] == 6
    assert found["speedup_in_macs"] >= 1.5
    assert found["psnr_db"]["test"]["images"] == 4
