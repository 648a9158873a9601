"""Compiled denoisers: two graphs, whatever alternates."""

import pytest
import torch

from mmcache import Plan, accelerate
from tests import tiny
from tests.tiny import PLAN, cached

# As few layers as two branches can have: compiling takes seconds for each.
SMALL = {
    "sample_size": 8,
    "block_out_channels": (16,),
    "layers_per_block": 1,
    "down_block_types": ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",),
    "mid_block_type": "UNetMidBlock2D",
}


def small():
    return tiny.stable_diffusion(**SMALL)


def wrap(pipe, backend):
    pipe.unet = torch.compile(pipe.unet, backend=backend, fullgraph=True)


def in_place(pipe, backend):
    pipe.unet.compile(backend=backend, fullgraph=True)


@pytest.mark.parametrize(
    ("when", "compiled"),
    [
        ("before", in_place),
        ("after", wrap),
        pytest.param("before", wrap, marks=pytest.mark.slow),
        pytest.param("after", in_place, marks=pytest.mark.slow),
    ],
)
def test_compiled_denoiser_holds_two_graphs(compiled, when, graphs):
    wanted, plain = cached(small), tiny.sample(small())
    pipe = small()
    if when == "before":
        compiled(pipe, graphs.backend)
    session = accelerate(pipe, PLAN)
    if when == "after":
        compiled(pipe, graphs.backend)
    for _ in range(2):
        assert torch.equal(tiny.sample(pipe), wanted)
        assert len(graphs) == 2  # full and cached, whatever alternates
    assert session.report().denoisers[0].cached_steps
    session.restore()
    assert torch.equal(tiny.sample(pipe), plain)


def test_compiled_and_used_before_accelerate(graphs):
    """A graph made without taps must not serve a step with taps."""
    pipe = small()
    wrap(pipe, graphs.backend)
    tiny.sample(pipe)
    for branch in (0, (0, 1) * 5):
        with accelerate(pipe, PLAN, branch=branch):
            assert torch.equal(
                tiny.sample(pipe), cached(small, plan=Plan(PLAN.policy, PLAN.forecast, branch))
            )
