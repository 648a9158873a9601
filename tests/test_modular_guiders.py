"""The passes of a modular pipeline's guider are lanes of one step: each gives what it gives alone."""

import copy

import pytest
import torch
from diffusers import (
    AdaptiveProjectedGuidance,
    AutoGuidance,
    ClassifierFreeGuidance,
    ClassifierFreeZeroStarGuidance,
    LayerSkipConfig,
    PerturbedAttentionGuidance,
    SkipLayerGuidance,
    TangentialClassifierFreeGuidance,
)
from diffusers.hooks import apply_layer_skip

from mmcache import Plan, Taylor, Uniform, accelerate
from mmcache.testing import check_fresh, check_interval_one, check_restore
from tests import tiny
from tests.zoo.modular import parts, stable_diffusion_xl, wan

pytestmark = pytest.mark.filterwarnings("ignore:[0-9]+ steps leave little")

STEPS = 8
BLOCKS = [1, 2, 3]  # of five: the first of the deep part, one in it, and its last
QUICK = ("CFG from 0.25 to 0.75", "SLG")
GUIDERS = {
    "CFG": lambda: ClassifierFreeGuidance(5.0),
    "CFG from 0.25 to 0.75": lambda: ClassifierFreeGuidance(5.0, start=0.25, stop=0.75),
    "APG": lambda: AdaptiveProjectedGuidance(5.0),
    "zero star": lambda: ClassifierFreeZeroStarGuidance(5.0),
    "tangential": lambda: TangentialClassifierFreeGuidance(5.0),
    "SLG": lambda: SkipLayerGuidance(
        5.0,
        skip_layer_config=LayerSkipConfig(BLOCKS),
        skip_layer_guidance_start=0.3,
        skip_layer_guidance_stop=0.8,
    ),
    "auto": lambda: AutoGuidance(5.0, auto_guidance_config=LayerSkipConfig([2])),
}


def make(guider):
    """Wan's small pipeline with this guider."""
    pipe = parts.build(parts.core("WanModularPipeline"), **wan.components())
    pipe.update_components(guider=guider())
    return pipe


def sample(pipe, **changes):
    call = {"num_inference_steps": STEPS, "generator": torch.Generator().manual_seed(0)}
    return pipe(output="latents", **call | (changes or wan.text()))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in QUICK else pytest.mark.slow) for name in GUIDERS]
)
def test_a_guider_changes_nothing_of_the_laws(name):
    def made():
        return make(GUIDERS[name])

    check_interval_one(made, sample)
    check_fresh(made, sample, Plan(Uniform(3)))
    check_restore(made, sample, Plan(Uniform(2)))


def test_what_a_guider_leaves_on_the_layers_costs_no_step():
    """Its first hook on a block adds attributes to it; they are no setting of the owner's."""
    pipe = make(GUIDERS["SLG"])
    with accelerate(pipe, interval=3) as session:
        sample(pipe)
        first = tiny.steps_of(session)
        sample(pipe)
        assert tiny.steps_of(session) == first
        assert not [note for note in session.report().notes if "steps leave little" not in note]


class Passes:
    """Stands around a model: notes its calls by the guider's pass, with the step of each."""

    def __init__(self, pipe, model):
        self.calls = {}
        self.guider, self.forward = pipe.guider, model.forward
        model.forward = self

    def __call__(self, *args, **kwargs):
        given = copy.deepcopy((args, kwargs))
        result = self.forward(*args, **kwargs)
        self.calls.setdefault(self.guider._count_prepared, {})[self.guider._step] = given, result[0].clone()
        return result


def replay(model, scheduler, calls, plan):
    """The results of the calls of one pass, in a loop in which there is no other."""
    results = {}
    with accelerate(model, plan, scheduler=scheduler), torch.no_grad():
        scheduler.set_timesteps(STEPS)
        scheduler.set_begin_index(min(calls))
        for step in sorted(calls):
            (args, kwargs), _ = calls[step]
            results[step] = model(*args, **kwargs)[0]
            scheduler.step(torch.zeros(1, 1), scheduler.timesteps[step], torch.zeros(1, 1))
    return results


PERTURBED = LayerSkipConfig(
    [0],
    "mid_block.attentions.0.transformer_blocks",
    skip_attention=False,
    skip_attention_scores=True,
    skip_ff=False,
)


def perturbed():
    """Modular SDXL with PAG, which diffusers has for few classes of attention processors."""
    guider = PerturbedAttentionGuidance(
        5.0, perturbed_guidance_config=PERTURBED, perturbed_guidance_start=0.3, perturbed_guidance_stop=1.0
    )
    pipe = parts.build(parts.core(stable_diffusion_xl.NAME), **stable_diffusion_xl.components())
    pipe.update_components(guider=guider)
    return pipe, pipe.unet, guider, stable_diffusion_xl.text()


def skipping():
    pipe = make(GUIDERS["SLG"])
    return pipe, pipe.transformer, pipe.guider, wan.text()


@pytest.mark.parametrize("branch", [0, "none"])
@pytest.mark.parametrize("made", [perturbed, skipping])
def test_each_pass_gives_what_it_gives_alone(made, branch):
    pipe, model, guider, text = made()
    plan = Plan(Uniform(3), Taylor(1), branch)
    scheduler = copy.deepcopy(pipe.scheduler)
    with accelerate(pipe, plan) as session:
        passes = Passes(pipe, model)
        sample(pipe, **text)
        assert session.report().denoisers[0].cached_steps > 0
    assert sorted(passes.calls) == [1, 2, 3]
    for number, calls in passes.calls.items():
        _, alone, _, _ = made()
        if number == 3:  # the pass with layers that are left out, or whose attention is
            for config in guider.skip_layer_config:
                apply_layer_skip(alone, config)
        for step, result in replay(alone, copy.deepcopy(scheduler), calls, plan).items():
            assert torch.equal(result, calls[step][1]), f"pass {number}, step {step}"
