"""Runs that start in the middle, stop early, or change midway."""

import pytest
import torch
from diffusers import (
    EulerDiscreteScheduler,
    HeunDiscreteScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
)

from mmcache import NonUniform, Plan, Taylor, Uniform, accelerate
from mmcache.testing import check_fresh, check_interval_one, check_same_input
from tests import tiny
from tests.tiny import PLAN

SIDE = tiny.SIZE  # height and width of an image: the VAE has one downsampler


def img2img(pipe, strength=0.6, **changes):
    picture = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(5))
    return tiny.sample(pipe, image=picture, strength=strength, **changes)


def inpaint(pipe, strength=0.7, **changes):
    mask = torch.zeros(1, 1, SIDE, SIDE)
    mask[..., SIDE // 4 : SIDE // 2, SIDE // 4 : SIDE // 2] = 1
    side = {"height": SIDE, "width": SIDE}
    return img2img(pipe, strength, mask_image=mask, **side, **changes)


@pytest.mark.parametrize(
    ("cls", "run"), [(StableDiffusionImg2ImgPipeline, img2img), (StableDiffusionInpaintPipeline, inpaint)]
)
@pytest.mark.parametrize("sampler", [None, EulerDiscreteScheduler, HeunDiscreteScheduler])
def test_a_run_that_starts_in_the_middle(cls, run, sampler):
    def make():
        scheduler = sampler.from_config(tiny.ddim().config) if sampler else None
        return tiny.small(cls, scheduler)

    check_interval_one(make, run)
    check_fresh(make, run, PLAN, between=lambda pipe: run(pipe, strength=0.9))
    pipe = make()
    session = accelerate(pipe, PLAN)
    run(pipe)
    steps = tiny.steps_of(session)
    assert steps[:7] == "F00F00F"[: len(steps)]
    first = session.report().denoisers[0].steps[0]
    assert first.step == 0
    assert first.time < 700  # where the sampler is, not where its table begins
    assert session.report().denoisers[0].steps[-1].bytes_held == 0


def test_denoising_end_is_the_end_of_the_run():
    pipe = tiny.sdxl()
    session = accelerate(pipe, Plan(Uniform(3, cooldown=1)))
    tiny.sample_sdxl(pipe, denoising_end=0.5)
    assert tiny.steps_of(session) == "F00FF"  # the fifth step is the last, hence the cool-down
    assert session.report().denoisers[0].steps[-1].bytes_held == 0


@pytest.mark.parametrize(
    ("after", "steps", "cache_miss"),
    [
        (4, "FF00FF00F0", [5]),  # step 5 cannot use what a batch of two left
        (3, "FF00F000F0", []),  # step 4 is full anyway, and must not extrapolate over the change
    ],
)
def test_guidance_switched_off_midway(after, steps, cache_miss):
    def off(pipe, step, timestep, tensors):
        if step == after:
            pipe._guidance_scale = 1.0
            tensors["prompt_embeds"] = tensors["prompt_embeds"].chunk(2)[-1]
        return tensors

    def run(pipe):
        options = {"callback_on_step_end": off, "callback_on_step_end_tensor_inputs": ["prompt_embeds"]}
        return tiny.sample(pipe, **options)

    check_interval_one(tiny.small, run)
    pipe = tiny.small()
    session = accelerate(pipe, interval=4, forecast=Taylor(1))
    run(pipe)
    assert tiny.steps_of(session) == steps
    assert [step.step for step in session.report().denoisers[0].steps if step.cache_miss] == cache_miss


@pytest.mark.parametrize(
    "between",
    [
        {"batch": 3},
        {"num_inference_steps": 30},
        {"height": 48, "width": 40},
        {"num_inference_steps": 4},
        {"guidance_scale": 1.0},
        {"eta": 1.0},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:4 steps")
def test_another_kind_of_call_between_two_calls(between):
    check_fresh(tiny.small, tiny.sample, PLAN, lambda pipe: tiny.sample(pipe, **between))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    def make():
        return tiny.small().to(dtype)

    def run(pipe):
        return tiny.sample(pipe, **{name: tensor.to(dtype) for name, tensor in tiny.embeddings().items()})

    check_same_input(make(), run)
    check_interval_one(make, run)
    check_fresh(make, run, PLAN)


def test_non_uniform_in_a_run_that_starts_in_the_middle():
    pipe = tiny.small(StableDiffusionImg2ImgPipeline)
    session = accelerate(pipe, Plan(NonUniform(3, center=2)))
    img2img(pipe)
    steps = tiny.steps_of(session)
    assert len(steps) == 6
    assert steps[0] == "F"
    assert steps.count("F") == 2
