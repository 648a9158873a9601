"""A ControlNet runs no further than a cached step needs, and nothing changes by it."""

import dataclasses

import pytest
import torch
from diffusers import MultiControlNetModel

from mmcache import Adaptive, Plan, Taylor, Uniform, accelerate
from mmcache.architectures.registry import side_adapter_for
from mmcache.engine.lazy_tensor import LazyTensor, materialize
from mmcache.layouts.controlnet import SideUNet
from mmcache.testing import LawBroken, check_side_networks
from tests import tiny
from tests.zoo import controlnet

PLAN = Plan(Uniform(3), Taylor(1), branch=1)

pytestmark = pytest.mark.filterwarnings("ignore:[0-9]+ steps leave little")


def run(pipe, **changes):
    return controlnet.sample(pipe, True, **changes)


def residuals_of(session):
    """How many residuals the ControlNet computed at each call; F: all of them."""
    calls = session.report().side_networks[0].steps
    return "".join("F" if call.branch is None else str(call.branch) for call in calls)


def test_a_cached_step_computes_the_residuals_of_its_skip_connections():
    pipe = controlnet.one()
    session = accelerate(pipe, PLAN)
    run(pipe)
    assert tiny.steps_of(session) == "F11F11"
    assert residuals_of(session) == "F22F22"  # branch 1 keeps the skip connections 0 and 1


@pytest.mark.parametrize("change", [{"control_guidance_end": 0.5}, {"control_guidance_start": 0.5}])
def test_a_step_at_which_it_is_switched_is_full(change):
    pipe = controlnet.one()
    session = accelerate(pipe, interval=6)
    run(pipe, **change)
    steps = session.report().denoisers[0].steps
    assert [step.step for step in steps if step.branch is None] == [0, 3]
    assert steps[3].cache_miss


def halve_guidance(pipe, step, timestep, kwargs):
    """Guidance off after step 1: the U-Net's batch halves, in guess mode the ControlNet's does not."""
    if step == 1:
        pipe._guidance_scale = 1.0
        kwargs["prompt_embeds"] = kwargs["prompt_embeds"].chunk(2)[1]
    return kwargs


def test_residuals_that_were_left_out_are_computed_if_the_denoiser_has_to_run_whole():
    call = {
        "guess_mode": True,
        "callback_on_step_end": halve_guidance,
        "callback_on_step_end_tensor_inputs": ["prompt_embeds"],
    }
    whole, pipe = controlnet.one(), controlnet.one()
    for side in accelerate(whole, PLAN).side_networks.values():
        side.enabled = False
    session = accelerate(pipe, PLAN)
    assert torch.equal(run(pipe, **call), run(whole, **call))
    steps = session.report().side_networks[0].steps
    again = [step.step for step in steps if step.cache_miss]
    assert again == [2], "the ControlNet was to be run again at the step where the U-Net's batch halved"


class OneFewer(SideUNet):
    def cut(self, model, residuals):
        return super().cut(model, residuals - 1)


def test_a_cut_that_leaves_out_too_much_is_found(monkeypatch):
    adapter = side_adapter_for(controlnet.one().controlnet)
    one_fewer = dataclasses.replace(adapter, layout=OneFewer())
    monkeypatch.setattr(
        "mmcache.api.resolved_pipeline.side_adapter_for",
        lambda model: one_fewer if side_adapter_for(model) else None,
    )
    with pytest.raises(LawBroken, match="law 11"):
        check_side_networks(controlnet.one, run, PLAN)


def test_a_controlnet_that_is_replaced_is_followed():
    pipe = controlnet.one()
    session = accelerate(pipe, PLAN)
    run(pipe)
    other = controlnet.parts.controlnet(seed=9)
    pipe.controlnet = other
    run(pipe)  # is noticed when the run begins
    assert session.side_networks["controlnet"].model is other
    session.restore()
    assert "forward" not in vars(other)


@pytest.mark.parametrize(
    ("begin", "replace"),
    [
        (controlnet.two, controlnet.parts.controlnet),
        (
            controlnet.one,
            lambda: MultiControlNetModel([controlnet.parts.controlnet(seed) for seed in (2, 3)]),
        ),
        (controlnet.two, lambda: MultiControlNetModel([controlnet.parts.controlnet(9)])),
    ],
    ids=["one for two", "two for one", "a list of one for two"],
)
def test_another_number_of_controlnets_is_followed(begin, replace):
    pipe = begin()
    session = accelerate(pipe, interval=6)
    pipe.controlnet = replace()
    several = len(getattr(pipe.controlnet, "nets", ()))
    pictures = {"image": [controlnet.parts.picture(seed=seed) for seed in range(several)]} if several else {}
    run(pipe, control_guidance_end=0.5, **pictures)
    steps = session.report().denoisers[0].steps
    assert [step.step for step in steps if step.branch is None] == [0, 3], "the switch was not noticed"
    assert len(session.side_networks) == max(several, 1)


def test_under_adaptive_a_switch_is_noticed_also_where_the_inputs_differ_in_shape():
    """In guess mode the ControlNet sees half of the batch, so it cannot say whether the step will be full."""
    pipe = controlnet.one()
    session = accelerate(pipe, policy=Adaptive(50.0))
    run(pipe, guess_mode=True, control_guidance_end=0.5)
    assert [s.step for s in session.report().denoisers[0].steps if s.branch is None] == [0, 3]


def test_what_is_hooked_to_a_controlnet_is_applied_once():
    def halve(module, args, output):
        down, mid = output
        return [residual * 0.5 for residual in down], mid * 0.5

    call = {
        "guess_mode": True,
        "callback_on_step_end": halve_guidance,
        "callback_on_step_end_tensor_inputs": ["prompt_embeds"],
    }
    whole, pipe = controlnet.one(), controlnet.one()
    for one in (whole, pipe):
        one.controlnet.register_forward_hook(halve)
    for side in accelerate(whole, PLAN).side_networks.values():
        side.enabled = False
    session = accelerate(pipe, PLAN)
    assert torch.equal(run(pipe, **call), run(whole, **call))
    part = session.report().side_networks[0]
    assert part.full_macs == 6 * part.steps[0].full_macs, "what ran twice would have run once without caching"


def test_beside_another_session_nothing_is_computed_twice():
    pipe = controlnet.one()
    sharing = type(pipe).from_pipe(pipe)
    sharing.set_progress_bar_config(disable=True)
    accelerate(pipe, PLAN)
    session = accelerate(sharing, PLAN)
    run(sharing)
    assert residuals_of(session) == "F22F22"
    accelerate(pipe, PLAN)  # now the outer one is of the pipe that does not call
    run(sharing)
    assert residuals_of(session) == "F22F22"


# LazyTensor tensors


def deferred(value):
    calls = []

    def compute():
        calls.append(value)
        return value

    return LazyTensor(value.to("meta"), value.device, compute), calls


def test_operations_are_noted_not_done():
    value = torch.arange(6.0).view(2, 3)
    late, calls = deferred(value)
    together = torch.cat([torch.zeros_like(late), late * 2])
    together += torch.ones(4, 3)
    assert together.shape == (4, 3)
    assert not calls
    wanted = torch.cat([torch.zeros_like(value), value * 2]) + 1
    assert torch.equal(materialize([together])[0], wanted)
    assert calls


def test_adding_to_a_computed_tensor_computes():
    late, calls = deferred(torch.ones(2))
    now = torch.zeros(2)
    now += late
    assert torch.equal(now, torch.ones(2))
    assert calls


def test_what_is_written_to_a_part_stays():
    late, _ = deferred(torch.zeros(2, 2))
    late[0] = 5.0
    late[:, 1] *= 2
    assert torch.equal(materialize(late), torch.tensor([[5.0, 10.0], [0.0, 0.0]]))


def test_operands_are_those_of_the_operation_also_if_they_change_later():
    late, _ = deferred(torch.ones(2))
    other = torch.ones(2)
    both = late + other
    other.zero_()
    assert torch.equal(materialize(both), torch.full((2,), 2.0))


def test_a_number_needs_the_tensor():
    late, calls = deferred(torch.full((3,), 2.0))
    assert late.sum().item() == 6.0
    assert calls
