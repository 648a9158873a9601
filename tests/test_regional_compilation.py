"""Blocks compiled one by one (`compile_repeated_blocks`): no graph breaks, and none is made anew."""

import pytest
import torch
from torch._dynamo.utils import counters

from mmcache import Plan, Taylor, Uniform, accelerate
from tests.zoo.transformers import flux, hidream, wan

pytestmark = pytest.mark.filterwarnings("ignore:[0-9]+ steps leave little")

PLAN = Plan(Uniform(3), Taylor(1), branch=0)


def zoo(cases, name):
    return next(case for case in cases if case.pipeline == name)


CASES = [zoo(flux.CASES, "FluxPipeline"), zoo(wan.CASES, "WanPipeline")]
WHEN = ("before", "used before", "after")


@pytest.mark.parametrize(
    ("case", "when"),
    [
        pytest.param(case, when, marks=[] if (case, when) == (CASES[1], "after") else [pytest.mark.slow])
        for case in CASES
        for when in WHEN
    ],
    ids=lambda value: getattr(value, "pipeline", value),
)
def test_graphs_stay_whole_and_none_is_made_anew_while_steps_alternate(case, when, graphs):
    pipe = case.make()
    accelerate(pipe, PLAN)
    wanted = case.sample(pipe, True)

    pipe = case.make()
    if when != "after":
        pipe.transformer.compile_repeated_blocks(backend=graphs.backend, fullgraph=True)
    if when == "used before":
        case.sample(pipe, True)
    session = accelerate(pipe, PLAN)
    if when == "after":
        pipe.transformer.compile_repeated_blocks(backend=graphs.backend, fullgraph=True)
    assert torch.equal(case.sample(pipe, True), wanted)
    made = len(graphs)
    assert made > 0
    assert torch.equal(case.sample(pipe, True), wanted)
    assert len(graphs) == made
    assert not counters["graph_break"]
    assert session.report().denoisers[0].cached_steps > 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_blocks_that_were_compiled_are_not_counted_while_they_run(when, graphs):
    """What counts operations one by one keeps graphs from being used."""
    case = zoo(hidream.CASES, "HiDreamImagePipeline")
    pipe = case.make()
    session = accelerate(pipe, PLAN)
    wanted = case.sample(pipe, True)
    assert session.report().denoisers[0].macs  # HiDream is counted while it runs

    pipe = case.make()  # of this one nothing was counted
    if when == "after":
        session = accelerate(pipe, PLAN)
    # Which experts a token goes to depends on its contents, so HiDream's own blocks break their graphs.
    blocks = [layer.block for layer in pipe.transformer.double_stream_blocks]
    for block in blocks:
        block.compile(backend=graphs.backend)
    if when == "before":
        session = accelerate(pipe, PLAN)
    assert torch.equal(case.sample(pipe, True), wanted)
    assert len(graphs) > 0
    made = len(graphs)
    assert torch.equal(case.sample(pipe, True), wanted)
    assert len(graphs) == made
    assert session.report().denoisers[0].macs is None


def test_a_model_that_was_compiled_as_a_whole_is_not_counted_while_it_runs(graphs):
    case = zoo(hidream.CASES, "HiDreamImagePipeline")
    pipe = case.make()
    pipe.transformer = torch.compile(pipe.transformer, backend=graphs.backend)
    session = accelerate(pipe, PLAN)
    case.sample(pipe, True)
    assert len(graphs) > 0
    assert session.report().denoisers[0].macs is None
