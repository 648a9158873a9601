"""diffusers' group offload: every layer that runs has its weights, and all of them are away afterwards.

On a machine with one device weights cannot be elsewhere, so those that are sent away become NaN: a layer that
runs without its own shows in the picture.
"""

import itertools

import pytest
import torch
from diffusers.hooks import group_offloading
from diffusers.hooks.group_offloading import GroupOffloadingConfig, GroupOffloadingType, ModuleGroup

from mmcache import Plan, Taylor, Uniform, accelerate
from tests import tiny
from tests.zoo import controlnet
from tests.zoo.transformers import flux, sana, wan

pytestmark = [
    pytest.mark.usefixtures("an_accelerator"),
    pytest.mark.filterwarnings("ignore:[0-9]+ steps leave little"),
]

CPU, META = torch.device("cpu"), torch.device("meta")


class Stream:
    def synchronize(self):
        pass


class Elsewhere:
    """Where weights are sent.

    Attributes:
        weights: all there are, by parameter.
        brought: how many groups were brought to the device.
    """

    def __init__(self, monkeypatch, model):
        self.weights = {p: p.data for p in (*model.parameters(), *model.buffers()) if p.is_floating_point()}
        self.brought = 0
        monkeypatch.setattr(ModuleGroup, "onload_", lambda group: self.bring(group))
        monkeypatch.setattr(ModuleGroup, "offload_", lambda group: self.send_away(group))

    def of(self, group):
        for module in group.modules:
            yield from (*module.parameters(), *module.buffers())
        yield from (*group.parameters, *group.buffers)

    def bring(self, group):
        self.brought += 1
        for weight in self.of(group):
            weight.data = self.weights.get(weight, weight.data)

    def send_away(self, group):
        for weight in self.of(group):
            if weight in self.weights:
                weight.data = torch.full_like(weight, float("nan"))

    def still_here(self):
        return [tuple(weight.shape) for weight in self.weights if not weight.isnan().all()]


def offload(model, level, blocks=1, streams=False):
    """What `enable_group_offload` does, with streams where no device has any.

    The weights are said to be sent to the meta device: so diffusers does not find out that some are missing,
    and brings none in the last moment, as older versions did not.
    """
    config = GroupOffloadingConfig(
        onload_device=CPU,
        offload_device=META,
        offload_type=GroupOffloadingType(level),
        num_blocks_per_group=blocks,
        non_blocking=streams,
        record_stream=False,
        low_cpu_mem_usage=True,  # no pinned memory
        stream=Stream() if streams else None,
        block_modules=getattr(model, "_group_offload_block_modules", None),
        exclude_kwargs=getattr(model, "_skip_keys", None),
    )
    group_offloading._apply_group_offloading(model, config)


def zoo(cases, name):
    return next(case for case in cases if case.pipeline == name)


def a_flux():
    case = zoo(flux.CASES, "FluxPipeline")
    return case.make, lambda pipe: case.sample(pipe, True), "transformer"


def a_wan():
    case = zoo(wan.CASES, "WanPipeline")
    return case.make, lambda pipe: case.sample(pipe, True), "transformer"


def a_unet():
    return tiny.stable_diffusion, lambda pipe: tiny.sample(pipe, num_inference_steps=5), "unet"


def a_controlnet():
    return controlnet.one, lambda pipe: controlnet.sample(pipe, True), "controlnet"


def a_controlnet_of_which_nothing_runs():
    case = zoo(sana.CASES, "SanaControlNetPipeline")
    return case.make, lambda pipe: case.sample(pipe, True), "controlnet"


BLOCKS = [("block_level", blocks, False) for blocks in (1, 2, 3, 5)]
STREAMS = [("block_level", 1, True), ("leaf_level", 1, True)]
EVERY = [
    (case, branch, *way)
    for case in (a_flux, a_wan, a_unet, a_controlnet)
    for branch in (0, 1)
    for way in (*BLOCKS, ("leaf_level", 1, False), *STREAMS)
] + [(a_controlnet_of_which_nothing_runs, 0, *STREAMS[0])]
QUICK = [
    *((a_flux, 0, *way) for way in (BLOCKS[1], *STREAMS)),
    *((a_unet, branch, *way) for branch, way in ((1, BLOCKS[1]), (0, STREAMS[0]), (1, STREAMS[0]))),
    (a_controlnet, 1, *BLOCKS[1]),
    (a_controlnet_of_which_nothing_runs, 0, *STREAMS[0]),
]


@pytest.mark.parametrize(
    ("case", "branch", "level", "blocks", "streams"),
    [pytest.param(*one, marks=[] if one in QUICK else [pytest.mark.slow]) for one in EVERY],
)
def test_what_runs_has_its_weights_and_all_are_away_afterwards(
    case, branch, level, blocks, streams, monkeypatch
):
    make, sample, name = case()
    plan = Plan(Uniform(3), Taylor(1), branch)
    pipe = make()
    accelerate(pipe, plan)
    wanted = sample(pipe)

    pipe = make()
    model = getattr(pipe, name)
    elsewhere = Elsewhere(monkeypatch, model)
    offload(model, level, blocks, streams)
    session = accelerate(pipe, plan)
    left_behind = []
    model.register_forward_hook(lambda *_: left_behind.extend(elsewhere.still_here()))
    assert torch.equal(sample(pipe), wanted)
    assert torch.equal(sample(pipe), wanted)  # with streams, the first run has shown diffusers the order
    assert not left_behind
    assert session.report().denoisers[0].cached_steps > 0


@pytest.mark.parametrize(("blocks", "streams", "expected"), [(2, False, (3, 2)), (1, True, (5, 2))])
def test_blocks_that_do_not_run_are_not_brought(blocks, streams, expected, monkeypatch):
    """Of a Wan with five blocks the first and the last stay, in their two of three groups."""
    make, sample, name = a_wan()
    pipe = make()
    elsewhere = Elsewhere(monkeypatch, getattr(pipe, name))
    offload(getattr(pipe, name), "block_level", blocks, streams)
    accelerate(pipe, interval=2, branch=0)
    sample(pipe)  # with streams, diffusers has then seen the order
    brought = []
    getattr(pipe, name).register_forward_hook(lambda *_: brought.append(elsewhere.brought))
    elsewhere.brought = 0
    sample(pipe)
    each = [after - before for before, after in itertools.pairwise([0, *brought])]
    own = 1  # what is in no block
    assert each[:4] == [own + expected[0]] * 2 + [own + expected[1]] * 2  # guidance takes two calls


def test_a_verification_waits_until_diffusers_knows_the_order_of_layers(monkeypatch):
    make, sample, name = a_wan()
    plan = Plan(Uniform(3), Taylor(1))
    pipe = make()
    model = getattr(pipe, name)
    elsewhere = Elsewhere(monkeypatch, model)
    offload(model, "block_level", streams=True)
    session = accelerate(pipe, plan)
    session.denoisers[name].verification.needed = True
    left_behind = []
    step = pipe.scheduler.step

    def look_and_step(*args, **kwargs):  # a hook of the model that keeps something would be refused
        left_behind.extend(elsewhere.still_here())
        return step(*args, **kwargs)

    monkeypatch.setattr(pipe.scheduler, "step", look_and_step)
    assert torch.as_tensor(sample(pipe)).isfinite().all()
    assert not left_behind
    assert session.denoisers[name].verification.verified
    assert session.report().denoisers[0].cached_steps
