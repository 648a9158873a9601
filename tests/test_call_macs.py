"""Multiply-adds that are remembered, as long as the model has the weights that they were counted with."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmcache import accelerate
from mmcache.engine.call_macs import count
from mmcache.macs.count import count_macs, shapes_of, skip_branch
from mmcache.testing.probes import denoiser_calls
from tests import tiny
from tests.zoo.transformers import flux


def sampled_macs(pipe, session):
    tiny.sample(pipe, num_inference_steps=3)
    return session.report().denoisers[0].macs


def test_a_layer_that_is_exchanged_for_one_of_another_size_is_counted_anew():
    pipe = tiny.stable_diffusion()
    session = accelerate(pipe, interval=1)
    before = sampled_macs(pipe, session)
    assert sampled_macs(pipe, session) == before

    attention = pipe.unet.down_blocks[0].attentions[0].transformer_blocks[0]
    narrow = attention.ff.net[0].proj
    width = narrow.out_features
    torch.manual_seed(0)
    attention.ff.net[0].proj = nn.Linear(narrow.in_features, 2 * width)
    attention.ff.net[2] = nn.Linear(width, attention.ff.net[2].out_features)  # as many modules as before
    tokens, calls = 2 * tiny.SIZE**2, 3
    more = tokens * (width * narrow.in_features + width // 2 * attention.ff.net[2].out_features)
    assert sampled_macs(pipe, session) == before + calls * more


def test_a_model_whose_processes_tell_each_other_sizes_is_not_counted_by_one_of_them():
    model, call = nn.Linear(4, 4), {"input": torch.zeros(3, 4, device="meta")}
    assert count_macs(model, call) == 3 * 4 * 4
    parts = SimpleNamespace(ulysses_anything=True, ring_anything=False)
    model._parallel_config = SimpleNamespace(context_parallel_config=parts)
    assert count_macs(model, call) is None


@pytest.mark.parametrize(
    ("make", "sample"),
    [(tiny.small, tiny.sample), (flux.CASES[0].make, lambda pipe: flux.CASES[0].sample(pipe, True))],
    ids=["U-Net", "transformer"],
)
def test_what_a_full_step_takes_is_found_with_the_cached_one(make, sample):
    ((_, model, adapter, call),) = denoiser_calls(make(), sample)
    shapes = shapes_of(call)
    found = count(model, adapter, shapes, 1)
    assert found == {
        None: count_macs(model, shapes),
        1: count_macs(model, shapes, skip_branch(adapter.cut, 1)),
    }
    assert found[1] < found[None]
