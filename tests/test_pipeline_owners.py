"""What owners do with an accelerated pipeline: copy, save, share, move, and replace its parts."""

import copy
import gc
import pickle
import weakref

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    EulerDiscreteScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)

import mmcache
from mmcache import accelerate
from mmcache.patching.forward_patch import forward_patches
from mmcache.testing import check_restore
from tests import tiny
from tests.tiny import PLAN, cached, plain, reference_macs


def test_scheduler_replaced_after_accelerate():
    def make():
        return tiny.small(scheduler=EulerDiscreteScheduler.from_config(tiny.ddim().config))

    wanted = cached(make)
    pipe = tiny.small()
    old = pipe.scheduler
    session = accelerate(pipe, PLAN)
    tiny.sample(pipe)
    pipe.scheduler = EulerDiscreteScheduler.from_config(pipe.scheduler.config)
    assert torch.equal(tiny.sample(pipe), wanted)
    assert torch.equal(tiny.sample(pipe), wanted)
    assert type(old) is DDIMScheduler  # no longer watched
    session.restore()
    assert type(pipe.scheduler) is EulerDiscreteScheduler


def test_scheduler_made_from_the_watched_one_is_plain():
    pipe = tiny.small()
    wanted = cached()
    session = accelerate(pipe, PLAN)
    made = type(pipe.scheduler).from_config(pipe.scheduler.config)
    copied = copy.deepcopy(pipe.scheduler)
    pickled = pickle.loads(pickle.dumps(pipe.scheduler))
    for other in (made, copied, pickled):
        assert type(other) is DDIMScheduler
        other.set_timesteps(3)
    assert torch.equal(tiny.sample(pipe), wanted)
    assert type(pipe.scheduler).__name__ == "DDIMScheduler"
    session.restore()


def test_copies_of_an_accelerated_pipe_are_plain():
    pipe = tiny.small()
    session = accelerate(pipe, PLAN)
    wanted = tiny.sample(pipe)
    unet = copy.deepcopy(pipe.unet)
    assert not forward_patches(unet)
    assert torch.equal(tiny.sample(copy.deepcopy(pipe)), plain())
    assert torch.equal(tiny.sample(pipe), wanted)
    assert session.active


def test_saved_while_accelerated(tmp_path):
    pipe = tiny.small()
    accelerate(pipe, PLAN)
    pipe.unet.save_pretrained(tmp_path / "unet")
    pipe.scheduler.save_pretrained(tmp_path / "scheduler")
    unet = UNet2DConditionModel.from_pretrained(tmp_path / "unet")
    assert list(unet.state_dict()) == list(tiny.small_unet().state_dict())
    assert isinstance(DDIMScheduler.from_pretrained(tmp_path / "scheduler"), DDIMScheduler)


@pytest.mark.parametrize("first", [0, 1])
def test_pipelines_that_share_everything_are_restored_in_any_order(first):
    pipe = tiny.small()
    other = StableDiffusionImg2ImgPipeline(**pipe.components, requires_safety_checker=False)
    sessions = [accelerate(pipe, PLAN), accelerate(other, PLAN)]
    wanted = cached()
    assert torch.equal(tiny.sample(pipe), wanted)
    sessions[first].restore()
    if first == 1:
        assert torch.equal(tiny.sample(pipe), wanted)
    sessions[1 - first].restore()
    assert type(pipe.scheduler) is DDIMScheduler
    assert "forward" not in vars(pipe.unet)
    assert torch.equal(tiny.sample(pipe), plain())


def test_pipelines_that_share_a_unet_keep_to_their_own_plans():
    first = tiny.small()
    second = tiny.small(scheduler=EulerDiscreteScheduler.from_config(tiny.ddim().config))
    second.unet = first.unet
    accelerate(first, interval=2)
    alone = tiny.sample(first)
    session = accelerate(second, interval=5)
    of_second = tiny.sample(second)
    assert torch.equal(tiny.sample(first), alone)
    assert torch.equal(tiny.sample(second), of_second)
    assert tiny.steps_of(session) == "F0000F0000"
    mmcache.restore(first)
    assert torch.equal(tiny.sample(second), of_second)
    mmcache.restore(second)
    assert "forward" not in vars(first.unet)


def test_unet_replaced_after_accelerate():
    pipe, old = tiny.small(), tiny.small_unet()
    pipe.unet = old
    session = accelerate(pipe, PLAN)
    pipe.unet = tiny.small_unet()
    assert "unet was replaced" in str(session.report())
    assert torch.equal(tiny.sample(pipe), cached())  # noticed when the run starts
    assert not forward_patches(old)
    pipe.unet = tiny.small_unet()
    again = accelerate(pipe, interval=5)
    tiny.sample(pipe)
    assert tiny.steps_of(again) == "F0000F0000"
    pipe.unet = tiny.small_unet()
    mmcache.restore(pipe)
    assert torch.equal(tiny.sample(pipe), plain())


def test_a_pipeline_that_calls_an_inner_one():
    class Combined(StableDiffusionPipeline):
        """As Kandinsky's combined pipelines do it."""

        def __call__(self, **call):
            return StableDiffusionPipeline(**self.components, requires_safety_checker=False)(**call)

    pipe = tiny.small(Combined)
    session = accelerate(pipe, interval=5)
    tiny.sample(pipe)
    assert tiny.steps_of(session) == "F0000F0000"


def test_direct_calls_after_a_run_are_plain_and_leave_nothing():
    pipe = tiny.small()
    session = accelerate(pipe, PLAN)
    tiny.sample(pipe)
    before = len(session.report().denoisers[0].steps)
    call = {"encoder_hidden_states": torch.randn(1, 5, 16)}
    latent = torch.randn(1, 4, 16, 16)
    with torch.no_grad():
        results = [pipe.unet(latent, 500, **call).sample for _ in range(5)]
        assert torch.equal(results[-1], tiny.small_unet()(latent, 500, **call).sample)
    assert len(session.report().denoisers[0].steps) == before


def test_calls_with_gradients_run_whole():
    unet = tiny.small_unet()
    session = accelerate(unet, interval=5)
    latent = torch.randn(1, 4, 16, 16)
    call = {"encoder_hidden_states": torch.randn(1, 5, 16)}
    with torch.no_grad():
        later = latent - 0.1 * unet(latent, 900, **call).sample
    whole = tiny.small_unet()(latent, 800, **call).sample
    attended = latent.clone().requires_grad_()
    result = unet(attended, 800, **call).sample
    assert torch.equal(result, whole)
    result.sum().backward()
    assert attended.grad.abs().sum() > 0
    with torch.no_grad():
        later = later - 0.1 * unet(later, 800, **call).sample
        unet(later, 700, **call)
    assert tiny.steps_of(session) == "FF0"  # the differentiated call was no step


def test_a_restored_pipe_is_freed_at_once():
    pipe = tiny.small()
    session = accelerate(pipe, PLAN)
    tiny.sample(pipe)
    session.restore()
    unet = weakref.ref(pipe.unet)
    gc.collect()
    gc.disable()
    try:
        del session, pipe
        assert unet() is None
    finally:
        gc.enable()


def test_report_after_the_pipe_has_moved_on():
    pipe = tiny.small()
    session = accelerate(pipe, PLAN)
    tiny.sample(pipe)
    pipe.to(torch.bfloat16)
    counted = session.report().denoisers[0].macs
    assert counted == reference_macs()


def test_class_and_signature_stay():
    pipe = tiny.small()
    accelerate(pipe)
    assert type(pipe) is StableDiffusionPipeline
    check_restore(tiny.small, tiny.sample, PLAN)
