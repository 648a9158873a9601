"""Pipelines with several denoisers: each follows its own scheduler and its own plan."""

import copy

import pytest
import torch

from mmcache import Hold, Plan, Taylor, Uniform, UnsupportedPipelineError, accelerate
from tests.zoo import cascade, unclip, unconditional
from tests.zoo import inpainting as inpainting_cases

pytestmark = pytest.mark.filterwarnings("ignore:[0-9]+ steps leave little")


def runs(session):
    """By denoiser: F for a full call, the branch for a cached one."""
    return {
        part.name: "".join("F" if step.branch is None else str(step.branch) for step in part.steps)
        for part in session.report().denoisers
    }


def test_prior_and_decoder_have_a_clock_each():
    pipe = cascade.make_wuerstchen()
    session = accelerate(pipe, Plan(Uniform(2), Taylor(1)))
    cascade.sample_combined(pipe, True)
    found = runs(session)
    assert len(found) == 2
    assert set(found.values()) == {"F0F0F0"}


def test_each_denoiser_can_have_a_plan_of_its_own():
    pipe = cascade.make_wuerstchen()
    session = accelerate(pipe, {"prior_prior": Plan(Uniform(3)), "decoder": Plan(Uniform(2))})
    cascade.sample_combined(pipe, True)
    assert runs(session) == {"prior_prior": "F00F00", "decoder": "F0F0F0"}


def test_a_plan_for_a_denoiser_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"denoiser 'prior'.*prior_prior"):
        accelerate(cascade.make_wuerstchen(), {"prior": Plan(Uniform(3))})


def test_a_branch_that_one_of_them_does_not_have_is_refused_by_name():
    with pytest.raises(ValueError, match=r"decoder: branch=9.*Give each denoiser its plan"):
        accelerate(cascade.make_wuerstchen(), Plan(Uniform(3), branch=9))


def test_a_denoiser_without_a_deep_part_beside_others_is_named_in_the_report():
    pipe = unclip.from_text()
    session = accelerate(pipe, Plan(Uniform(2)))
    assert any(
        note.startswith("prior (PriorTransformer) has no deep part") for note in session.report().notes
    )


def test_a_scheduler_that_is_replaced_in_a_part_of_a_pipeline_is_followed():
    pipe = cascade.make_wuerstchen()
    session = accelerate(pipe, Plan(Uniform(2)))
    old = pipe.decoder_pipe.scheduler
    plain = type(copy.deepcopy(old))
    pipe.decoder_pipe.scheduler = copy.deepcopy(old)
    cascade.sample_combined(pipe, True)
    assert runs(session)["decoder"] == "F0F0F0"
    assert type(pipe.scheduler) is not plain, "the combined pipeline still has it, so it is still watched"
    session.restore()
    assert type(old) is plain
    assert type(pipe.decoder_pipe.scheduler) is plain


# Default plans and refusals by what a pipeline does


def test_a_pipeline_with_a_mask_has_full_steps_at_the_end():
    case = inpainting_cases.CASES[0]
    assert accelerate(case.make()).plan.policy == Uniform(3, cooldown=2)


def test_what_samples_in_one_step_is_refused_unless_told_how():
    pipe = unconditional.consistency()
    with pytest.raises(UnsupportedPipelineError, match="one step unless told otherwise"):
        accelerate(pipe)
    assert accelerate(pipe, interval=2).active


def test_a_run_of_one_step_says_that_nothing_is_saved():
    case = next(case for case in unconditional.CASES if case.pipeline == "DDIMPipeline")
    pipe = case.make()
    accelerate(pipe, Plan(Uniform(2), Hold()))
    with pytest.warns(UserWarning, match="nothing to reuse"):
        pipe(num_inference_steps=1, output_type="np", generator=torch.Generator().manual_seed(0))


def test_what_is_not_called_itself_is_refused():
    class Chooses(type(unconditional.consistency()).__mro__[1]):
        """Like VersatileDiffusionPipeline: it makes another pipeline for every task."""

        def __init__(self, unet, scheduler):
            super().__init__()
            self.register_modules(unet=unet, scheduler=scheduler)

    parts = unconditional.consistency()
    with pytest.raises(UnsupportedPipelineError, match="is not called itself"):
        accelerate(Chooses(parts.unet, parts.scheduler))
