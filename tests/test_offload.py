"""Offload by accelerate's hooks, and the hooks of diffusers."""

import accelerate as hf_accelerate
import pytest
import torch

from mmcache import accelerate
from mmcache.patching.forward_patch import forward_patches
from mmcache.testing import check_fresh, check_interval_one, check_same_input
from tests import tiny
from tests.tiny import PLAN, cached, plain, reference_macs


def model_offload(pipe):
    pipe.enable_model_cpu_offload(device="cpu")


def sequential_offload(pipe):
    """What enable_sequential_cpu_offload does, on the device "cpu": it would ask for "cpu:0", which fails."""
    for model in (pipe.vae, pipe.unet):
        hf_accelerate.cpu_offload(model, torch.device("cpu"))


@pytest.mark.parametrize("offload", [model_offload, sequential_offload])
@pytest.mark.parametrize("when", ["before", "after"])
def test_offload(offload, when):
    wanted = cached()
    pipe = tiny.small()
    if when == "before":
        offload(pipe)
    session = accelerate(pipe, PLAN)
    if when == "after":
        offload(pipe)
    for _ in range(2):  # a pipeline with offload removes and renews its hooks after every call
        assert torch.equal(tiny.sample(pipe), wanted)
    assert tiny.steps_of(session) == "F00F00F00F"
    assert session.report().denoisers[0].macs == reference_macs()
    session.restore()
    assert torch.equal(tiny.sample(pipe), plain())
    pipe.remove_all_hooks()
    assert not forward_patches(pipe.unet)
    assert torch.equal(tiny.sample(pipe), plain())


def test_offload_switched_off_while_accelerated():
    pipe = tiny.small()
    model_offload(pipe)
    session = accelerate(pipe, PLAN)
    tiny.sample(pipe)
    pipe.remove_all_hooks()
    assert torch.equal(tiny.sample(pipe), cached())
    session.restore()
    assert torch.equal(tiny.sample(pipe), plain())


def layerwise_casting(pipe):
    pipe.unet.enable_layerwise_casting(storage_dtype=torch.bfloat16, compute_dtype=torch.float32)


def group_offload(pipe):
    pipe.unet.enable_group_offload(onload_device=torch.device("cpu"), offload_type="leaf_level")


@pytest.mark.usefixtures("an_accelerator")
@pytest.mark.parametrize("hook", [layerwise_casting, group_offload])
def test_hooks_of_diffusers(hook):
    def make():
        pipe = tiny.small()
        hook(pipe)
        return pipe

    check_same_input(make(), tiny.sample)
    check_interval_one(make, tiny.sample)
    check_fresh(make, tiny.sample, PLAN)
    pipe = make()
    before = tiny.sample(pipe)
    session = accelerate(pipe, PLAN)
    first = tiny.sample(pipe)
    assert session.report().denoisers[0].macs == reference_macs()
    assert torch.equal(tiny.sample(pipe), first)  # counting has left the model as it was
    session.restore()
    assert torch.equal(tiny.sample(pipe), before)
