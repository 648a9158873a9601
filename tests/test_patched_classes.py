"""What people put on the classes of a denoiser and of its layers, as `Attention.forward = ...` does."""

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor2_0
from diffusers.models.resnet import ResnetBlock2D
from torch.nn import functional

from mmcache import UnsupportedPipelineError, accelerate
from tests import tiny

PATCHED = {
    "layers": (ResnetBlock2D, "forward", "F00FFFFFFF"),
    "processors": (AttnProcessor2_0, "__call__", "F00FFFFFFF"),
    "denoiser": (UNet2DConditionModel, "forward", "F00FFFF00F"),
}


def louder(plain):
    def forward(self, *args, **kwargs):
        result = plain(self, *args, **kwargs)
        return (result[0] * 1.3,) if isinstance(result, tuple) else result * 1.3

    return forward


def halfway(change):
    return lambda pipe, step, timestep, tensors: (change(pipe) if step == 3 else None) or tensors


@pytest.mark.parametrize("name", PATCHED)
def test_what_is_put_on_a_class_in_mid_run_acts_from_the_next_step_on(name, monkeypatch):
    kind, method, steps = PATCHED[name]
    plain = getattr(kind, method)
    results = []
    for interval in (None, 3):
        monkeypatch.setattr(kind, method, plain)
        pipe = tiny.small()
        session = accelerate(pipe, interval=interval) if interval else None
        results.append(
            tiny.sample(
                pipe,
                callback_on_step_end=halfway(lambda pipe: monkeypatch.setattr(kind, method, louder(plain))),
            )
        )
    assert tiny.steps_of(session) == steps
    assert (results[0] - results[1]).norm() < 0.1 * results[0].norm()
    session.restore()
    monkeypatch.setattr(kind, method, plain)
    assert torch.equal(tiny.sample(pipe), tiny.plain())


def test_a_class_that_was_patched_while_accelerated_is_as_it_is_now_behind_restore(monkeypatch):
    pipe, patched = tiny.small(), tiny.small()
    session = accelerate(pipe, interval=3)
    monkeypatch.setattr(UNet2DConditionModel, "forward", louder(UNet2DConditionModel.forward))
    session.restore()
    assert torch.equal(tiny.sample(pipe), tiny.sample(patched))


def test_a_class_whose_forward_names_no_arguments_is_refused(monkeypatch):
    def forward(self, x, t, text=None, **more):
        return (x,)

    monkeypatch.setattr(UNet2DConditionModel, "forward", forward)
    with pytest.raises(UnsupportedPipelineError, match="sample"):
        accelerate(tiny.small(), interval=3)


def exchange_class(pipe):
    block = pipe.unet.mid_block
    block.__class__ = type("Other", (type(block),), {})


def other_attention(pipe):
    plain = functional.scaled_dot_product_attention
    functional.scaled_dot_product_attention = lambda *args, **kwargs: plain(*args, **kwargs)


@pytest.mark.parametrize("change", [exchange_class, other_attention])
def test_layers_of_another_class_or_attention_make_the_step_full(change, monkeypatch):
    monkeypatch.setattr(functional, "scaled_dot_product_attention", functional.scaled_dot_product_attention)
    pipe = tiny.small()
    session = accelerate(pipe, interval=3)
    tiny.sample(pipe, callback_on_step_end=halfway(change))
    assert tiny.steps_of(session) == "F00FFFF00F"
