"""Views: what their owner changes on the live model is seen, and foreign forwards are repeated or refused."""

import copy

import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor
from torch import nn

from mmcache import Hold, Plan, Taylor, Uniform, UnsupportedPipelineError, accelerate
from mmcache.architectures.registry import adapter_for
from mmcache.layouts.cut import cached_view, filled, full_view
from mmcache.patching.swap import swap_child
from mmcache.patching.view import View
from mmcache.testing.live_model_laws import tables
from tests import tiny

EVERY = Plan(Uniform(1))
THIRD = Plan(Uniform(3), Hold(), branch=1)


def replaced_resnet(pipe):
    """Another layer in the place of the last one, which every cached step runs."""
    layers = pipe.unet.up_blocks[-1].resnets
    layers[-1] = copy.deepcopy(layers[-1])
    with torch.no_grad():
        layers[-1].conv2.weight.mul_(3.0)


def replaced_block(pipe):
    pipe.unet.up_blocks[-1] = copy.deepcopy(pipe.unet.up_blocks[-1])
    with torch.no_grad():
        pipe.unet.up_blocks[-1].resnets[-1].conv2.weight.mul_(3.0)


CHANGES = {
    "FreeU": lambda pipe: pipe.enable_freeu(s1=0.9, s2=0.2, b1=1.4, b2=1.6),
    "layer": replaced_resnet,
    "block": replaced_block,
    "processor": lambda pipe: pipe.unet.set_attn_processor(AttnProcessor()),
}


def at_step(number, change):
    def callback(pipe, step, timestep, kwargs):
        if step == number:
            change(pipe)
        return kwargs

    return callback


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_callback_changes_is_seen_at_the_next_full_step(name):
    plain, pipe = tiny.small(), tiny.small()
    wanted = tiny.sample(plain, callback_on_step_end=at_step(4, CHANGES[name]))
    accelerate(pipe, EVERY)
    assert torch.equal(tiny.sample(pipe, callback_on_step_end=at_step(4, CHANGES[name])), wanted)


@pytest.mark.parametrize("change", [replaced_resnet, replaced_block])
def test_what_a_callback_changes_is_seen_at_the_next_cached_step(change):
    """The layer or block that a callback puts in behind step 3 runs in 4 and 5; step 4 is full."""
    pipe = tiny.small()
    session = accelerate(pipe, THIRD)
    ran = []

    def changed(pipe):
        change(pipe)
        pipe.unet.up_blocks[-1].resnets[-1].register_forward_hook(lambda *_: ran.append(1))

    tiny.sample(pipe, callback_on_step_end=at_step(3, changed))
    assert tiny.steps_of(session) == "F11FFFF11F"
    assert len(ran) == 6  # steps 4 to 9


def test_hooks_of_users_on_copied_modules_run_once_at_every_step_and_see_the_model():
    pipe = tiny.stable_diffusion()
    accelerate(pipe, Plan(Uniform(3), Taylor(1), branch=4))  # enters the second up block between two layers
    block, calls = pipe.unet.up_blocks[1], []
    block.register_forward_hook(lambda module, args, output: calls.append(type(module).__name__))
    tiny.sample(pipe)
    assert calls == [type(block).__name__] * 10


def scaled(self, *args, **kwargs):
    return type(self).forward(self, *args, **kwargs)


def test_a_method_that_somebody_put_on_a_copied_block_runs_on_the_copy():
    model = tiny.unet()
    block = model.up_blocks[1]
    block.forward = scaled.__get__(block)
    call = {
        "sample": torch.randn(1, 4, tiny.SIZE, tiny.SIZE),
        "timestep": torch.tensor(500),
        "encoder_hidden_states": torch.randn(1, 5, 16),
    }
    cut = adapter_for(model).cut(model, 4)
    with torch.no_grad():
        full = full_view(model, [cut]).module(**call)[0]
        with filled(cut.slot, cut.tap.take()):
            assert torch.equal(cached_view(model, cut).module(**call)[0], full)


def test_a_forward_that_cannot_be_repeated_on_a_copy_is_refused_with_its_name():
    pipe = tiny.stable_diffusion()
    block = pipe.unet.up_blocks[1]

    def surprising(*args, **kwargs):
        return type(block).forward(block, *args, **kwargs)

    block.forward = surprising
    before = tables(pipe.unet)
    with pytest.raises(UnsupportedPipelineError, match="surprising"):
        accelerate(pipe, Plan(Uniform(3), branch=4))  # a branch that leaves out layers of that block
    assert tables(pipe.unet) == before
    assert "forward" not in vars(pipe.unet)
    accelerate(pipe, Plan(Uniform(3), branch=0))  # that block does not run at its cached steps


def test_a_swap_of_a_module_that_is_not_in_the_model_is_refused():
    with pytest.raises(ValueError, match="not in this"):
        View(tiny.unet(), [swap_child(nn.Sequential(nn.Identity()), "0", None)])
