"""A transformer's ControlNet runs no further than a cached step needs, and nothing changes by it."""

import dataclasses
from pathlib import Path

import pytest
import torch
from diffusers import FluxTransformer2DModel, WanVACETransformer3DModel

from mmcache import Plan, Taylor, Uniform, accelerate
from mmcache.api.resolved_pipeline import find_denoisers
from mmcache.architectures.registry import adapter_for, side_adapter_for
from mmcache.layouts.cut import Given
from mmcache.layouts.side_stack import SideStack
from mmcache.patching.swap import swap_child
from mmcache.testing import LawBroken, check_side_networks
from mmcache_demos.benchmarks.controlnet_blocks import rows
from tests.test_pipelines import sampler
from tests.zoo import TRANSFORMERS
from tests.zoo.transformers import flux, sd3, wan, z_image
from tests.zoo.transformers.parts import control

pytestmark = pytest.mark.filterwarnings("ignore:[0-9]+ steps leave little")

CASES = {case.pipeline: case for case in TRANSFORMERS}
SANA, SD3 = CASES["SanaControlNetPipeline"], CASES["StableDiffusion3ControlNetPipeline"]
HUNYUAN = CASES["HunyuanDiTControlNetPipeline (two)"]
WITH_ONE = [case for name, case in CASES.items() if "ControlNet" in name or "Transfer" in name]


def plan_at(branch):
    return Plan(Uniform(3), Taylor(1), branch=branch)


def run(case, branch, cut=True, sample=None):
    """What a pipeline gives, and its report."""
    pipe = case.make()
    session = accelerate(pipe, plan_at(branch))
    for side in session.side_networks.values():
        side.enabled = cut
    return torch.as_tensor((sample or sampler(case, True))(pipe)), session.report()


def residuals_of(report):
    """How many residuals the ControlNets computed at each call; F: all of them."""
    return {
        "".join("F" if call.branch is None else str(call.branch) for call in part.steps)
        for part in report.side_networks
    }


def branches_of(case):
    """Of the pipeline's denoiser that has the fewest."""
    models = find_denoisers(case.make()).values()
    return min(part.branches for part in models)


@pytest.mark.parametrize(
    ("case", "wanted"),
    [(SANA, "F00F00"), (SD3, "F11F11"), pytest.param(HUNYUAN, "F11F11", marks=pytest.mark.slow)],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_cached_step_computes_what_its_blocks_read(case, wanted):
    """Sana's first and last block read none, so the network is not called at all."""
    cut, report = run(case, 0)
    assert residuals_of(report) == {wanted}
    whole, other = run(case, 0, cut=False)
    assert torch.equal(cut, whole)
    assert residuals_of(other) == {"FFFFFF"}
    for part in report.side_networks:
        assert 0 <= min(step.macs for step in part.steps) < part.steps[0].full_macs
    assert report.macs < other.macs


@pytest.mark.slow
@pytest.mark.parametrize("case", WITH_ONE, ids=lambda case: case.name)
def test_every_branch_gives_what_running_the_whole_network_gives(case):
    for branch in range(branches_of(case)):
        (cut, report), (whole, other) = run(case, branch), run(case, branch, cut=False)
        assert torch.equal(cut, whole), f"branch {branch}"
        assert report.macs <= other.macs
        assert not any(call.cache_miss for part in report.side_networks for call in part.steps)


@pytest.mark.parametrize(
    "change",
    [
        {"control_guidance_end": 0.5},
        pytest.param({"control_guidance_start": 0.5}, marks=pytest.mark.slow),
    ],
)
def test_a_step_at_which_it_is_switched_is_full(change):
    def sample(pipe):
        return sd3.sample_controlled(pipe, True, **control() | change)

    pipe, whole = SD3.make(), SD3.make()
    session = accelerate(pipe, interval=6)
    accelerate(whole, interval=6).side_networks["controlnet"].enabled = False
    assert torch.equal(torch.as_tensor(sample(pipe)), torch.as_tensor(sample(whole)))
    steps = session.report().denoisers[0].steps
    assert [step.step for step in steps if step.branch is None] == [0, 3]
    assert steps[3].cache_miss


def test_a_cut_that_leaves_out_too_much_is_found(monkeypatch):
    adapter = side_adapter_for(SANA.make().controlnet)

    class Wrong(SideStack):
        def cut(self, model, residuals):
            last = list(model.transformer_blocks)[-residuals:]  # instead of the first
            return (swap_child(model, "transformer_blocks", torch.nn.ModuleList(last)),)

    broken = dataclasses.replace(adapter, layout=Wrong(("transformer_blocks",)))
    monkeypatch.setattr(
        "mmcache.api.resolved_pipeline.side_adapter_for",
        lambda model: broken if side_adapter_for(model) else None,
    )
    with pytest.raises(LawBroken, match="law 11"):
        check_side_networks(SANA.make, sampler(SANA, True), plan_at(1))


def test_residuals_that_were_left_out_are_computed_if_the_transformer_has_to_run_whole():
    """The transformer is called without what it kept: the forecast of the step was wrong."""

    def forgetful(cut):
        pipe = SD3.make()
        session = accelerate(pipe, plan_at(0))
        for side in session.side_networks.values():
            side.enabled = cut

        def forget(module, args, kwargs):
            driver = session.denoisers["transformer"]
            if driver.run.step.clock.step == 2:
                driver.run.clear_features()

        pipe.transformer.register_forward_pre_hook(forget, with_kwargs=True)
        return torch.as_tensor(SD3.sample(pipe, True)), session.report()

    (cut, report), (whole, _) = forgetful(True), forgetful(False)
    assert torch.equal(cut, whole)
    again = [step.step for step in report.side_networks[0].steps if step.cache_miss]
    assert again == [2]


def test_a_network_that_has_to_run_whole_is_said_to():
    _, report = run(SD3, 1)
    assert residuals_of(report) == {"FFFFFF"}
    assert any("ran whole at every step" in note for note in report.notes)


def test_a_refiner_that_runs_the_same_blocks_leaves_them_whole():
    assert side_adapter_for(z_image.controlnet(4)).given(z_image.controlnet(4)) == Given(((0, 2, 4),))
    twice = z_image.ZImageControlNetModel(
        **z_image.OF_CONTROLNET | {"add_control_noise_refiner": "control_layers"}, control_in_dim=4
    )
    assert side_adapter_for(twice).given(twice) is None


def test_residuals_that_are_dealt_out_in_turn_are_needed_sooner():
    """XLabs' ControlNets of Flux; InstantX's are spread."""
    model = flux.lively(0, lambda: FluxTransformer2DModel(**flux.SHAPE | {"num_layers": 12}))
    cut = adapter_for(model).cut(model, 2)  # three blocks stay at either end
    assert cut.residuals(Given((range(3), range(0)))) == 1
    assert cut.residuals(Given((range(3), range(0)), repeated=True)) == 3
    assert cut.residuals(Given((range(3), range(2)))) == 5, "the last single block reads the last one"


def test_the_control_within_wan_runs_as_far_as_its_hints_are_read():
    model = wan.denoiser(WanVACETransformer3DModel, **wan.CONTROLLED | {"vace_layers": (0, 2, 3)})
    for branch, wanted in ((0, 1), (1, 3)):  # of blocks 0 to 4 stay 0 and 4, or all but 2
        cut = adapter_for(model).cut(model, branch)
        blocks = set(model.vace_blocks)
        assert len(blocks & cut.remaining(model)) == wanted


@pytest.mark.slow
def test_the_table_is_that_of_the_docs():
    text = (Path(__file__).parent.parent / "docs" / "controlnets.md").read_text()
    for title, blocks, needed in rows():
        cells = " | ".join("all" if number == blocks else str(number) for number in needed)
        assert f"| {title} | {blocks} | {cells} |" in text
