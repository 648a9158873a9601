"""Plans of several costs from one recording."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    UniPCMultistepScheduler,
)

from mmcache import (
    Plan,
    PlanFileError,
    StepMask,
    Taylor,
    Uniform,
    accelerate,
    calibrate,
    compare,
    load_plan,
    load_plans,
    save_plan,
    save_plans,
)
from mmcache.plans.branch import NOTHING
from mmcache.tools.calibrating.fitted_weights import fitted, forecasts
from mmcache.tools.calibrating.planning import best_plan
from mmcache.tools.calibrating.run_model import RunModel, forecast_weights
from mmcache.tools.calibrating.sampler_recording import recorded
from mmcache.tools.tuning.schedule import full_steps, with_full
from tests import tiny
from tests.tiny_prompted import prompted

SAMPLERS = [
    DDIMScheduler,
    EulerDiscreteScheduler,
    EulerAncestralDiscreteScheduler,
    HeunDiscreteScheduler,
    DPMSolverMultistepScheduler,
    UniPCMultistepScheduler,
]
FULL = [0, 1, 2, 4, 7, 9]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_responses_say_how_errors_of_outputs_change_what_is_sampled(sampler):
    """Checked on a denoiser that does not look at the latent: the error is the sampler's own."""
    scheduler = sampler.from_config(tiny.ddim().config)
    noisy = sampler is EulerAncestralDiscreteScheduler
    outputs = torch.randn(30, 1, 1, 4, 4, generator=torch.Generator().manual_seed(0))

    def sampled(errors):
        scheduler.set_timesteps(10)
        latent, latents = torch.ones(1, 1, 4, 4), []
        for number, timestep in enumerate(scheduler.timesteps):
            latents.append(latent)
            output = outputs[number] + errors[number]
            options = {"generator": torch.Generator().manual_seed(number)} if noisy else {}
            latent = scheduler.step(output, timestep, latent, **options).prev_sample
        return torch.stack([*latents, latent])

    with recorded(scheduler) as recording:
        plain = sampled(torch.zeros_like(outputs))
    errors = 0.1 * torch.randn(outputs.shape, generator=torch.Generator().manual_seed(1))
    steps = len(recording.times)
    found = (sampled(errors) - plain).flatten(1).double()
    wanted = torch.from_numpy(recording.responses()) @ errors[:steps].flatten(1).double()
    assert type(scheduler) is sampler
    assert len(plain) == steps + 1
    assert torch.allclose(found, wanted, atol=2e-4 * wanted.abs().max().item() + 1e-5)


@pytest.mark.parametrize("forecast", [Taylor(1), Taylor(1, repaid=1.0), Taylor(2, repaid=0.5)])
def test_weights_are_those_of_a_run(forecast):
    pipe = tiny.small()
    accelerate(pipe, Plan(StepMask(FULL), forecast, "none"))
    with recorded(pipe.scheduler) as recording:
        tiny.sample(pipe)
    (outputs,) = recording.outputs
    weights = forecast_weights(recording.times, FULL, forecast)
    wanted = weights.float() @ outputs
    assert torch.allclose(outputs, wanted, atol=1e-4 * outputs.abs().max().item())
    assert torch.allclose(weights.sum(1), torch.ones(len(weights)).double())


@pytest.mark.parametrize("gain", [0.0, 0.5])
def test_a_prediction_is_right_where_the_model_answers_errors_in_a_known_way(gain):
    """Outputs that depend on the latent by a factor: errors are those of the forecasts, carried on."""
    curve = torch.randn(3, 16, generator=torch.Generator().manual_seed(0))
    scheduler, forecast = tiny.ddim(), Taylor(1, repaid=0.5)

    def sampled(weights):
        scheduler.set_timesteps(10)
        latent, outputs = torch.zeros(1, 1, 4, 4), torch.zeros(10, 1, 1, 4, 4)
        for step, timestep in enumerate(scheduler.timesteps):
            time = float(timestep) / 1000
            smooth = (curve[0] + curve[1] * time**2 + curve[2] * time**3).reshape(1, 1, 4, 4)
            computed = smooth + gain * latent
            outputs[step] = computed if weights[step, step] else torch.tensordot(weights[step], outputs, 1)
            latent = scheduler.step(outputs[step], timestep, latent).prev_sample
        return latent

    with recorded(scheduler) as recording:
        plain = sampled(torch.eye(10))
    grams = torch.stack([one.double() @ one.double().T / one.shape[1] for one in recording.outputs])
    responses = torch.from_numpy(recording.responses())
    model = RunModel(recording.times, grams, responses, torch.full((1, 1, 10), gain), torch.zeros(1, 1, 10))
    weights = forecast_weights(recording.times, FULL, forecast)
    wanted = (sampled(weights.float()) - plain).square().mean().item()
    assert wanted > 1e-6
    assert model.error(FULL, weights).item() == pytest.approx(wanted / (1 + wanted), rel=0.02)


def smooth_run(steps=24, images=4, noise=0.0):
    """A recording whose outputs change quickly at the start and the end."""
    generator = np.random.default_rng(0)
    places = np.linspace(0, 1, steps)
    shapes = np.stack([np.exp(-8 * places), np.exp(8 * (places - 1)), places, np.ones(steps)])
    outputs = [(generator.normal(size=(64, 4)) @ shapes).T for _ in range(images)]
    outputs = [one + noise * generator.normal(size=one.shape) for one in outputs]
    grams = torch.from_numpy(np.stack([one @ one.T / 64 for one in outputs]))
    responses = torch.ones(steps + 1, steps).double().tril(-1) / steps
    return RunModel(list(1000 - 1000 * places), grams, responses, *torch.zeros(2, 1, images, steps))


@pytest.mark.parametrize("count", [6, 10])
def test_full_steps_go_where_outputs_change(count):
    model = smooth_run()
    best = best_plan(model, count)
    even = [round(place * model.steps / count) for place in range(count)]
    assert len(best.full) == count
    assert best.full[0] == 0
    assert best.decibels > model.decibels(even, Taylor(1)) + 6
    middle = sum(8 <= step < 16 for step in best.full)
    assert middle < count - middle


def test_fitted_weights_are_better_on_other_images_and_make_up_for_errors():
    """Better than extrapolation, and than weights that know nothing of what earlier forecasts have missed."""
    model = smooth_run(images=8, noise=0.003)
    model = replace(model, gain=model.gain - 5.0)  # full steps answer errors
    seen, others = model.only(range(4)), model.only(range(4, 8))
    schedule = with_full(model.steps, [0, 1, 3, 6, 11, 16, 20, 22], NOTHING)
    full = full_steps(schedule)
    forecast, foretold = fitted(seen, schedule, 2)
    reached = others.decibels(full, forecast)
    assert reached > max(others.decibels(full, rule) for rule in forecasts(seen, schedule)) + 3
    assert foretold == pytest.approx(reached, abs=3)


def test_answers_that_no_number_holds_still_give_a_plan():
    model = smooth_run(images=2)
    best = best_plan(replace(model, gain=model.gain + 1e30, spread=model.spread + 1e30), 6)
    assert len(best.full) == 6
    assert np.isfinite(best.decibels)


def test_calibrate_plans_all_costs_and_leaves_the_pipe_as_it_was(tmp_path):
    pipe = prompted()
    sampler = type(pipe.scheduler)
    found = calibrate(pipe, ["one", "two", "three"], costs=(2, 4), steps=12, held_out=["four", "five"])
    assert type(pipe.scheduler) is sampler
    assert list(found.plans) == ["2x", "4x"]
    assert found.speedup == {"2x": 2.0, "4x": 4.0}
    assert found.predicted["2x"] > found.predicted["4x"]
    assert set(found.measured) == {"2x", "4x"}
    assert found.runs == pytest.approx(3 * (1 + 1 / 3 + 1 / 5) + 2 * (1 + 0.75), abs=0.1)
    found.save(tmp_path / "plans.yaml")
    assert load_plans(tmp_path / "plans.yaml") == dict(found.plans)
    session = accelerate(pipe, f"{tmp_path}/plans.yaml#4x")
    assert session.plan == found.plans["4x"]
    assert "psnr" in found.as_json()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompts": ["one"]}, "at least 2 prompts"),
        ({"steps": 4}, "8 steps"),
        ({"costs": (40,)}, "less than one full step"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        calibrate(prompted(), **{"prompts": ["one", "two"], "steps": 12} | options)


def test_a_file_with_several_plans_wants_a_cost(tmp_path):
    plans = {
        "2x": Plan(Uniform(2), Taylor(1), "none"),
        "3.5x": Plan(Uniform(3), Taylor(1, repaid=0.5), "none"),
    }
    save_plans(plans, tmp_path / "plans.yaml")
    pipe = tiny.stable_diffusion()
    with pytest.raises(PlanFileError, match=r"2x, 3.5x.*plans.yaml#2x"):
        accelerate(pipe, tmp_path / "plans.yaml")
    with pytest.raises(PlanFileError, match=r"Did you mean .3\.5x."):
        accelerate(pipe, f"{tmp_path}/plans.yaml#35x")
    with pytest.raises(PlanFileError, match="costs"):
        load_plan(tmp_path / "plans.yaml")
    save_plan(plans["2x"], tmp_path / "one.yaml")
    with pytest.raises(PlanFileError, match="one plan"):
        load_plans(tmp_path / "one.yaml")
    assert accelerate(pipe, tmp_path / "one.yaml").plan == plans["2x"]


def test_a_calibrated_plan_can_be_compared():
    """The warm-up of a comparison takes as many steps as the plan is for."""
    pipe = prompted()
    plan = calibrate(pipe, ["a cat", "a dog"], costs=(2.0,), steps=10).plans["2x"]
    assert compare(pipe, "a bird", plan, steps=10).report.full_steps == 5
