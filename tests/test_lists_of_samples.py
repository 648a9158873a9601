"""Z-Image is given a list with a tensor for each picture, and returns one."""

import pytest
import torch

import mmcache
from mmcache.tools.sweeping.last_output import repeating_last_output
from tests import tiny
from tests.zoo.transformers import z_image

pytestmark = pytest.mark.filterwarnings("ignore:[0-9]+ steps leave little")


def latents(*seeds):
    return [torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) for seed in seeds]


def loop(model, pictures, times=(0.1, 0.3, 0.5, 0.7)):
    words = [word for seed, _ in enumerate(pictures) for word in z_image.words()["prompt_embeds"]]
    with torch.no_grad():
        for time in times:
            timestep = torch.full((len(pictures),), time)
            predicted = model(pictures, timestep, words, return_dict=False)[0]
            pictures = [one + 0.1 * by for one, by in zip(pictures, predicted, strict=True)]
    return torch.stack(pictures)


def test_in_a_loop_of_ones_own_another_second_picture_begins_a_new_run():
    model = z_image.transformer()
    session = mmcache.accelerate(model, interval=4, forecast=mmcache.Hold())
    loop(model, latents(0, 1), times=(0.1,))
    loop(model, latents(0, 1), times=(0.1,))
    assert tiny.steps_of(session) == "FF"  # two lanes of one step
    loop(model, latents(0, 2), times=(0.1,))
    assert tiny.steps_of(session) == "F"
    loop(model, latents(3, 4))
    assert tiny.steps_of(session) == "FF00"  # believed to be a run at its second step


def test_the_last_output_is_repeated():
    case = next(case for case in z_image.CASES if case.pipeline == "ZImagePipeline")
    pipe = case.make()
    plain = case.sample(pipe, True)
    with repeating_last_output(pipe, mmcache.Uniform(1)):
        assert torch.equal(case.sample(pipe, True), plain)
    with repeating_last_output(pipe, mmcache.Uniform(3)) as (placed,):
        again = case.sample(pipe, True)
        assert placed.repeated > 0
    assert not torch.equal(again, plain)
    assert torch.equal(case.sample(pipe, True), plain)
