"""Cached steps that run nothing: the denoiser's output is forecast, by any kind of denoiser."""

import copy
from functools import partial

import pytest
import torch
from diffusers import DDIMScheduler, HeunDiscreteScheduler, ModelMixin
from torch import nn

from mmcache import (
    FunctionDenoiser,
    Hold,
    Plan,
    StepMask,
    Taylor,
    Uniform,
    UnsupportedPipelineError,
    accelerate,
    load_plan,
    save_plan,
)
from mmcache.engine.kept_output import take_apart
from mmcache.testing import (
    check_fresh,
    check_independent,
    check_interval_one,
    check_one_feature,
    check_output_forecast,
    check_restore,
    check_shared,
    check_side_networks,
    check_untouched,
)
from tests import tiny
from tests.zoo import controlnet

MIXED = Plan(Uniform(4), Taylor(1, repaid=0.5), (0, "none", 0, "none", 0, 2, "none", "none", 0, "none"))


class Own(nn.Module):
    """A denoiser of somebody's own."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Linear(4, 4)

    def forward(self, x, t):
        return self.layer(x) * t / 1000


def loop(model, scheduler, steps=12):
    """Somebody's own loop."""
    scheduler.set_timesteps(steps)
    latent = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for time in scheduler.timesteps:
            latent = scheduler.step(model(latent, time), time, latent).prev_sample
    return latent


def test_laws_of_output_forecasts():
    plan = Plan(Uniform(3), Taylor(1, repaid=1.0), "none")
    check_output_forecast(tiny.small(), tiny.sample)
    check_interval_one(tiny.small, tiny.sample)
    check_untouched(tiny.small(), tiny.sample, plan)
    check_shared(tiny.small, tiny.sample, [plan, None])


@pytest.mark.parametrize(
    "plan", [Plan(Uniform(3), Taylor(2, repaid=0.5), "none"), MIXED], ids=["none", "mixed"]
)
def test_laws_of_runs(plan):
    check_restore(tiny.small, tiny.sample, plan)
    check_fresh(tiny.small, tiny.sample, plan)
    check_independent(tiny.small, tiny.sample, plan)
    check_one_feature(tiny.small(), tiny.sample, plan)


def test_a_plan_mixes_what_runs_step_by_step():
    pipe = tiny.small()
    session = accelerate(pipe, MIXED)
    tiny.sample(pipe)
    steps = session.report().denoisers[0].steps
    assert [str(step.ran) for step in steps] == [
        *(
            "full",
            "nothing",
            "branch 0",
            "nothing",
            "full",
            "branch 2",
            "nothing",
            "nothing",
            "full",
            "nothing",
        )
    ]
    assert all((step.macs == 0) == (str(step.ran) == "nothing") for step in steps)


def kinds_of_denoisers():
    plain = Own()
    example = torch.randn(2, 4), torch.tensor(3)
    return {
        "a module": plain,
        "compiled": torch.compile(Own(), backend="eager"),
        "exported": torch.export.export(plain, example).module(),
        "traced": torch.jit.trace(plain, example),
        "a function": FunctionDenoiser(lambda latent, time: plain.layer(latent) * time / 1000),
    }


class Wrapped(Own):
    def __init__(self, plain, returned):
        super().__init__()
        self.plain, self.returned = plain, returned

    def forward(self, x, t):
        return self.returned(self.plain(x, t))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["a module", "compiled", "exported", "traced", "a function"])
def test_any_denoiser_without_adapter(kind):
    model, scheduler = kinds_of_denoisers()[kind], DDIMScheduler()
    plain, wanted = loop(model, scheduler), loop(accelerated_by_hand(Own()), DDIMScheduler())
    session = accelerate(model, interval=3, branch="none", scheduler=scheduler)
    assert torch.allclose(loop(model, scheduler), wanted, atol=1e-5)
    assert (wanted - plain).abs().max() > 0.1
    assert tiny.steps_of(session) == "F-1-1" * 4
    session.restore()
    assert torch.equal(loop(model, scheduler), plain)


def accelerated_by_hand(model, interval=3):
    """The same as `interval=3, branch="none"` with `Taylor(1)`, written down."""
    calls, seen = [0], []

    def call(latent, time):
        if calls[0] % interval == 0:
            seen.append((float(time), model(latent, time)))
        calls[0] += 1
        (before, first), (last, second) = seen[-2:] if len(seen) > 1 else (seen[-1], seen[-1])
        if before == last or float(time) == last:
            return second
        weight = (float(time) - last) / (before - last)
        return first * weight + second * ((float(time) - before) / (last - before))

    return call


def test_a_denoiser_without_adapter_is_refused_with_what_to_write():
    model = Own()
    before = copy.copy(vars(model))
    for options in ({}, {"interval": 3}, {"branch": 1}):
        with pytest.raises(UnsupportedPipelineError, match='branch="none"') as error:
            accelerate(model, scheduler=DDIMScheduler(), **options)
        assert len(str(error.value)) <= 300
    assert vars(model) == before


class Anonymous(ModelMixin):
    """A U-Net behind a class that no adapter describes; pipelines read its config."""

    config = property(lambda self: self.unet.config)

    def __init__(self, unet):
        super().__init__()
        self.unet = unet

    def forward(self, sample, timestep, encoder_hidden_states, **kwargs):
        return self.unet(sample, timestep, encoder_hidden_states, **kwargs)


def no_adapter():
    pipe = tiny.small()
    pipe.unet = Anonymous(pipe.unet)
    return pipe


def test_laws_of_a_pipeline_whose_denoiser_has_no_adapter():
    plan = Plan(Uniform(3), Taylor(1, repaid=0.5), "none")
    wanted = tiny.small()
    accelerate(wanted, plan)
    pipe = no_adapter()
    accelerate(pipe, plan)
    assert torch.equal(tiny.sample(pipe), tiny.sample(wanted))
    check_restore(no_adapter, tiny.sample, plan)
    check_fresh(no_adapter, tiny.sample, plan)
    check_one_feature(no_adapter(), tiny.sample, plan)


@pytest.mark.parametrize(
    "returned",
    [
        lambda output: output,
        lambda output: (output, None, 3),
        lambda output: [output[:1], output[1:]],
        lambda output: {"sample": output},
    ],
    ids=["tensor", "tuple", "list", "dictionary"],
)
def test_an_output_is_put_together_as_it_was(returned):
    output = returned(torch.randn(2, 4))
    form, feature = take_apart(output)
    again = form.put_together(feature)
    assert type(again) is type(output)
    assert str(again) == str(output)


@pytest.mark.parametrize(
    "output",
    [(torch.ones(2), object()), torch.ones(2, dtype=torch.int64), "text", (None,)],
    ids=["an object", "integers", "text", "nothing"],
)
def test_what_cannot_be_forecast_runs_in_full(output):
    assert take_apart(output) == (None, ())
    model, scheduler = Wrapped(Own(), lambda tensor: (tensor, object())), DDIMScheduler()
    session = accelerate(model, interval=3, branch="none", scheduler=scheduler)
    scheduler.set_timesteps(6)
    latent = torch.ones(2, 4)
    with torch.no_grad():
        for time in scheduler.timesteps:
            latent = scheduler.step(model(latent, time)[0], time, latent).prev_sample
    assert tiny.steps_of(session) == "F" * 6


def test_outputs_of_another_shape_are_no_help():
    """The call looks the same; its output does not."""
    width = [4]
    model, scheduler = Wrapped(Own(), lambda tensor: tensor[:, : width[0]]), DDIMScheduler()
    session = accelerate(model, Plan(StepMask([0, 3, 4]), Taylor(1), "none"), scheduler=scheduler)
    scheduler.set_timesteps(8)
    with torch.no_grad():
        for number, time in enumerate(scheduler.timesteps):
            width[0] = 4 if number < 4 else 2
            assert model(torch.ones(2, 4), time).shape == (2, width[0])
            scheduler.step(torch.ones(2, 4), time, torch.ones(2, 4))
    assert tiny.steps_of(session) == "F-1-1FF-1-1-1"


def test_times_that_a_sampler_repeats():
    pipe = tiny.small(scheduler=HeunDiscreteScheduler.from_config(tiny.ddim().config))
    accelerate(pipe, Plan(Uniform(3), Taylor(1, repaid=1.0), "none"))
    assert tiny.sample(pipe).isfinite().all()


def test_hold_of_outputs_is_the_last_output():
    model, scheduler = Own(), DDIMScheduler()
    accelerate(model, interval=3, branch="none", forecast=Hold(), scheduler=scheduler)
    scheduler.set_timesteps(3)
    with torch.no_grad():
        outputs = []
        for time in scheduler.timesteps:
            outputs.append(model(torch.ones(2, 4), time))
            scheduler.step(outputs[-1], time, torch.ones(2, 4))
    assert torch.equal(outputs[1], outputs[0])
    assert torch.equal(outputs[2], outputs[0])
    assert outputs[1].data_ptr() != outputs[2].data_ptr()


def test_a_controlnet_does_not_run_where_nothing_runs():
    plan = Plan(Uniform(3), Taylor(1), "none")
    check_side_networks(partial(controlnet.one), partial(controlnet.sample, guided=True), plan)
    session = accelerate(pipe := controlnet.one(), plan)
    controlnet.sample(pipe, guided=True)
    (network,) = session.report().side_networks
    assert {step.macs == 0 for step in network.steps if step.branch is not None} == {True}


def test_a_plan_that_keeps_nothing_goes_through_a_file(tmp_path):
    for plan in (MIXED, Plan(Uniform(2), Taylor(2, repaid=0.25), "none")):
        save_plan(plan, tmp_path / "plan.yaml")
        assert load_plan(tmp_path / "plan.yaml") == plan
    with pytest.raises(ValueError, match="branch must be"):
        Plan(Uniform(2), branch="nothing")


def test_a_model_that_returns_a_tensor_is_cached_in_a_loop_of_ones_own_too():
    class Told(Own):
        def forward(self, sample, timestep):
            return super().forward(sample, timestep)

    torch.manual_seed(0)
    model = Told().requires_grad_(False)
    session = accelerate(model, interval=2, branch="none", forecast=Hold())
    latent = torch.randn(1, 4)
    with torch.no_grad():
        for time in (900, 700, 500, 300):
            latent = latent - 0.1 * model(latent, torch.tensor(time))
    ran = [str(step.ran) for step in session.report().denoisers[0].steps]
    assert ran == ["full", "full", "full", "nothing"]  # believed to be a run at its second step
