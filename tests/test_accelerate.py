"""The interface: plans, sessions, bare models, and what is refused."""

import warnings

import pytest
import torch
from diffusers import EulerDiscreteScheduler
from torch import nn

import mmcache
from mmcache import (
    Adaptive,
    Hold,
    NonUniform,
    Plan,
    StepMask,
    Taylor,
    Uniform,
    UnsupportedPipelineError,
    accelerate,
)
from mmcache.patching.forward_patch import forward_patches
from mmcache.testing.probes import anatomy
from tests import tiny, tiny_prompted
from tests.zoo.transformers import pixart, wan

FAMILIES = {
    "image": tiny_prompted.prompted,
    "inpainting": tiny_prompted.inpainting,
    "video": tiny_prompted.moving,
    "image-transformer": pixart.transformer,
}


def test_short_form_is_the_long_form():
    pipe = tiny.stable_diffusion()
    assert accelerate(pipe, interval=4, branch=2).plan == Plan(Uniform(4), pipe_default().forecast, 2)
    assert accelerate(pipe, policy=Adaptive(0.1), forecast=Taylor(2)).plan.policy == Adaptive(0.1)
    assert accelerate(pipe, "fast").plan == mmcache.load_plan(mmcache.presets()["fast"])


def pipe_default():
    return accelerate(tiny.stable_diffusion()).plan


def test_default_plan_says_what_it_rests_on():
    assert pipe_default().evidence
    assert accelerate(tiny.ddpm()).plan.evidence


def test_presets_are_those_of_the_architecture_and_the_task():
    known = {family: mmcache.load_plan(mmcache.presets(family)["fast"]) for family in FAMILIES}
    for family, make in FAMILIES.items():
        model = make()
        own_loop = isinstance(model, nn.Module)
        plan = accelerate(model, "fast", scheduler=tiny.ddim() if own_loop else None).plan
        assert plan == known[family], family
    borrowed = accelerate(tiny.ddpm(), "fast")
    assert borrowed.plan == known["image"]
    assert "measured for the family 'image', and on no unconditional U-Net" in " ".join(borrowed.notes)
    clips = accelerate(wan.denoiser(), "fast", scheduler=tiny.ddim())
    assert clips.plan == known["image-transformer"]
    assert "measured for the family 'image-transformer', and on no Wan transformer" in " ".join(clips.notes)


def test_presets_of_a_loop_whose_length_nobody_tells_leave_out_the_last_full_steps():
    known = mmcache.load_plan(mmcache.presets()["fast"])
    plan = accelerate(tiny.unet(), "fast").plan
    assert (plan.policy, plan.forecast) == (Uniform(known.policy.interval), known.forecast)
    assert accelerate(tiny.unet()).plan.policy == Uniform(3)
    with pytest.raises(ValueError, match="scheduler"):
        accelerate(tiny.unet(), known)  # a plan of one's own is not changed


def test_accelerating_again_replaces_the_plan_and_says_so():
    pipe = tiny.small()
    first = accelerate(pipe, interval=2)
    second = accelerate(pipe, interval=5)
    tiny.sample(pipe)
    assert tiny.steps_of(second) == "F0000F0000"
    assert "replaces the plan Uniform(interval=2)" in str(second.report())
    assert not first.active
    assert len(forward_patches(pipe.unet)) == 1
    first.restore()  # a session that was replaced has nothing left to undo
    assert second.active
    second.restore()
    assert not forward_patches(pipe.unet)


def test_context_manager_restores_also_after_an_error():
    pipe = tiny.small()
    with pytest.raises(RuntimeError), accelerate(pipe):
        raise RuntimeError
    assert not forward_patches(pipe.unet)


def test_paused_session_runs_in_full():
    pipe = tiny.small()
    plain = tiny.sample(pipe)
    session = accelerate(pipe, interval=3)
    cached = tiny.sample(pipe)
    session.enabled = False
    assert torch.equal(tiny.sample(pipe), plain)
    session.enabled = True
    assert torch.equal(tiny.sample(pipe), cached)


def test_report_says_what_was_done():
    pipe = tiny.small()
    session = accelerate(pipe, interval=3, branch=1, forecast=Taylor(1))
    assert "No run yet" in str(session.report())
    tiny.sample(pipe)
    part = session.report().denoisers[0]
    assert (part.full_steps, part.cached_steps) == (4, 6)
    full, cached = part.steps[0].macs, part.steps[1].macs
    assert part.macs == 4 * full + 6 * cached
    assert part.full_macs == 10 * full
    # Two observations of (2, 16, 8, 8), and a latent (2, 4, 8, 8) by which the next call is told, in float32.
    assert part.bytes_held == 2 * (2 * 16 * 8 * 8 * 4) + 2 * 4 * 8 * 8 * 4
    assert part.seconds > 0
    text = str(session.report())
    assert "branch 1" in text
    assert "4 full and 6 cached" in text
    assert session.report().as_dict()["denoisers"][0]["steps"][1]["branch"] == 1


def test_deeper_step_refreshes_the_shallower_feature():
    """With a step at branch 3 in between, the steps at branch 0 after it start from a fresher feature."""
    plain = tiny.sample(tiny.small())

    def error(branch):
        pipe = tiny.small()
        accelerate(pipe, Plan(Uniform(10), branch=branch))
        return (tiny.sample(pipe) - plain).norm()

    assert error((0, 0, 0, 0, 3, 0, 0, 0, 0, 0)) < error((0, 0, 0, 0, 0, 0, 0, 0, 0, 0))


def test_a_branch_per_step_wants_that_many_steps():
    pipe = tiny.small()
    accelerate(pipe, Plan(Uniform(3), branch=(0,) * 7))
    with pytest.raises(ValueError, match="each of 7 steps, but this run has 10"):
        tiny.sample(pipe)
    mmcache.restore(pipe)
    assert torch.equal(tiny.sample(pipe), tiny.sample(tiny.small()))


def test_few_steps_warn_once():
    pipe = tiny.small()
    accelerate(pipe, interval=2)
    with pytest.warns(UserWarning, match="8 steps leave little to reuse"):
        tiny.sample(pipe, num_inference_steps=8)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        tiny.sample(pipe, num_inference_steps=8)


# Bare models in someone's own loop


def loop(unet, scheduler, steps=10):
    generator = torch.Generator().manual_seed(0)
    latent = torch.randn(1, 4, 16, 16, generator=generator)
    text = torch.randn(1, 5, 16, generator=generator)
    scheduler.set_timesteps(steps)
    with torch.no_grad():
        for timestep in scheduler.timesteps:
            noise = unet(latent, timestep, encoder_hidden_states=text).sample
            latent = scheduler.step(noise, timestep, latent).prev_sample
    return latent


def test_a_loop_of_ones_own_after_a_call_of_the_pipe_has_its_own_number_of_steps():
    pipe = tiny.small()
    session = accelerate(pipe, interval=4)
    tiny.sample(pipe, num_inference_steps=6)
    loop(pipe.unet, pipe.scheduler, steps=10)
    assert tiny.steps_of(session) == "F000F000F0"
    assert session.report().denoisers[0].steps[8].bytes_held, "the run was taken to be over after six steps"


@pytest.mark.parametrize("with_scheduler", [True, False])
def test_bare_model(with_scheduler):
    unet, scheduler = tiny.small_unet(), tiny.ddim()
    plain = loop(unet, scheduler)
    session = accelerate(unet, interval=3, **({"scheduler": scheduler} if with_scheduler else {}))
    first = loop(unet, scheduler)
    # Told by timesteps alone, a run is believed at its second step.
    assert tiny.steps_of(session) == ("F00F00F00F" if with_scheduler else "FF0F00F00F")
    assert torch.equal(loop(unet, scheduler), first)
    assert not torch.equal(first, plain)
    mmcache.restore(unet)
    assert torch.equal(loop(unet, scheduler), plain)


def test_bare_model_and_pipeline_agree():
    unet, scheduler = tiny.small_unet(), EulerDiscreteScheduler.from_config(tiny.ddim().config)
    session = accelerate(unet, interval=3, forecast=Hold())
    of_timesteps = loop(unet, scheduler)
    full = [step for step, ran in enumerate(tiny.steps_of(session)) if ran == "F"]
    accelerate(unet, policy=StepMask(full), forecast=Hold(), scheduler=scheduler)
    assert torch.equal(loop(unet, scheduler), of_timesteps)


def test_a_loop_without_a_scheduler_that_makes_the_same_image_again_is_reported_whole():
    unet, scheduler = tiny.small_unet(), tiny.ddim()
    session = accelerate(unet, interval=3)
    for _ in range(3):
        loop(unet, scheduler)
        assert tiny.steps_of(session) == "FF0F00F00F"


def test_policies_that_need_the_number_of_steps_want_a_scheduler():
    with pytest.raises(ValueError, match="scheduler=scheduler"):
        accelerate(tiny.small_unet(), policy=NonUniform(3))
    accelerate(tiny.small_unet(), policy=NonUniform(3), scheduler=tiny.ddim())


# What is refused


class NoPipeline:
    pass


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((), {"interval": 0}, ValueError, "at least 1"),
        ((), {"interval": 2.5}, ValueError, "whole number"),
        ((), {"interval": "3"}, ValueError, "whole number"),
        ((), {"branch": 9}, ValueError, "has 9 branches, 0 .* to 8"),
        ((), {"branch": -1}, ValueError, "at least 0"),
        ((), {"branch": []}, ValueError, "wanted a branch"),
        ((), {"intervall": 3}, TypeError, "intervall"),
        ((), {"interval": 3, "policy": Uniform(3)}, TypeError, "not both"),
        ((), {"policy": "uniform"}, TypeError, "wanted a policy"),
        ((), {"forecast": 1}, TypeError, "Taylor"),
        (("fastest",), {}, mmcache.PlanFileError, "Did you mean 'fast'"),
        (("nowhere/plan.yaml",), {}, mmcache.PlanFileError, "no such plan file"),
        ((3,), {}, TypeError, "must be a mmcache.Plan"),
    ],
)
def test_wrong_options_leave_the_pipe_untouched(arguments, options, error, message):
    pipe = tiny.stable_diffusion()
    before = anatomy(pipe)
    with pytest.raises(error, match=message):
        accelerate(pipe, *arguments, **options)
    assert anatomy(pipe) == before


def test_a_refused_plan_leaves_an_earlier_acceleration_as_it_was():
    pipe = tiny.small()
    session = accelerate(pipe, interval=2)
    with pytest.raises(ValueError, match="branches"):
        accelerate(pipe, interval=3, branch=100)
    tiny.sample(pipe)
    assert session.active
    assert tiny.steps_of(session) == "F0F0F0F0F0"


def test_what_has_no_denoiser_is_refused():
    with pytest.raises(UnsupportedPipelineError, match="NoPipeline"):
        accelerate(NoPipeline())
    with pytest.raises(UnsupportedPipelineError, match="NoneType"):
        accelerate(None)
    with pytest.raises(UnsupportedPipelineError, match=r"AutoencoderKL.*adapters/README.md"):
        accelerate(tiny.vae())
    pipe = tiny.stable_diffusion()
    pipe.unet = torch.nn.Linear(1, 1)
    with pytest.raises(UnsupportedPipelineError, match=r"unet \(Linear\)"):
        accelerate(pipe)


def test_restore_of_a_plain_pipe_does_nothing():
    pipe = tiny.small()
    before = anatomy(pipe)
    mmcache.restore(pipe)
    assert anatomy(pipe) == before


def test_a_denoiser_is_not_accelerated_twice():
    pipe = tiny.small()
    accelerate(pipe)
    with pytest.raises(ValueError, match="already accelerated on behalf of a StableDiffusionPipeline"):
        accelerate(pipe.unet, interval=3)
    mmcache.restore(pipe)
    accelerate(pipe.unet, interval=3)
    with pytest.raises(ValueError, match="on behalf of a UNet2DConditionModel"):
        accelerate(pipe)


def test_a_branch_per_step_of_a_bare_model_wants_a_scheduler():
    with pytest.raises(ValueError, match="scheduler=scheduler"):
        accelerate(tiny.small_unet(), interval=2, branch=(0, 1))


def test_warm_up_call_of_a_bare_model_is_a_run_of_its_own():
    unet, scheduler = tiny.small_unet(), tiny.ddim()
    accelerate(unet, interval=3)
    wanted = loop(unet, scheduler)
    mmcache.restore(unet)
    session = accelerate(unet, interval=3)
    scheduler.set_timesteps(10)
    with torch.no_grad():
        unet(torch.zeros(1, 4, 16, 16), scheduler.timesteps[0], encoder_hidden_states=torch.zeros(1, 5, 16))
    assert torch.equal(loop(unet, scheduler), wanted)
    assert tiny.steps_of(session) == "FF0F00F00F"


def test_training_runs_whole():
    unet = tiny.small_unet().train()
    session = accelerate(unet, interval=3)
    for timestep in (900, 800, 700):
        unet(torch.randn(1, 4, 16, 16), timestep, encoder_hidden_states=torch.randn(1, 5, 16))
    assert not session.report().denoisers[0].steps


def test_a_pipeline_without_a_clock_is_refused():
    pipe = tiny.small()
    pipe.scheduler = None
    with pytest.raises(UnsupportedPipelineError, match="StableDiffusionPipeline has no scheduler"):
        accelerate(pipe)


def test_bare_denoiser_of_a_pipeline_with_its_scheduler():
    pipe = tiny.small()
    session = accelerate(pipe.unet, interval=5, scheduler=pipe.scheduler)
    tiny.sample(pipe)
    assert tiny.steps_of(session) == "F0000F0000"


def test_interval_one_does_not_warn_of_few_steps():
    pipe = tiny.small()
    accelerate(pipe, interval=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        tiny.sample(pipe, num_inference_steps=2)
