"""`clone_pipeline`: another pipeline of the same models for another thread; what a run changes is its own."""

import copy

import pytest
import torch
from diffusers import AutoencoderKLWan, ClassifierFreeGuidance
from torch import nn

from mmcache import Plan, Taylor, Uniform, accelerate, clone_pipeline
from mmcache.api.session import session_of
from tests import tiny_prompted
from tests.zoo import cascade
from tests.zoo.modular import parts as modular
from tests.zoo.modular import wan

pytestmark = pytest.mark.filterwarnings("ignore:[0-9]+ steps leave little")

THIRD = Plan(Uniform(3), Taylor(1))


def sample(pipe, words="a red house"):
    pipe.set_progress_bar_config(disable=True)
    noise = torch.Generator().manual_seed(0)
    return torch.tensor(pipe(words, num_inference_steps=4, generator=noise, output_type="np").images)


def parts(pipe):
    return {name: part for name, part in pipe.components.items() if part is not None}


def test_models_are_shared_and_nothing_else():
    pipe = tiny_prompted.prompted()
    clone = clone_pipeline(pipe)
    assert type(clone) is type(pipe)
    for name, part in parts(pipe).items():
        assert (getattr(clone, name) is part) == isinstance(part, nn.Module), name
    assert pipe.config.scheduler == clone.config.scheduler


def test_a_run_of_the_clone_changes_nothing_of_the_pipe():
    pipe = tiny_prompted.prompted()
    wanted = sample(tiny_prompted.prompted())
    clone = clone_pipeline(pipe)
    attributes, scheduler = dict(vars(pipe)), copy.deepcopy(vars(pipe.scheduler))
    padding = copy.deepcopy(pipe.tokenizer.backend_tokenizer.padding)
    assert torch.equal(sample(clone), wanted)
    assert pipe.tokenizer.backend_tokenizer.padding == padding
    assert vars(pipe) == attributes
    assert str(vars(pipe.scheduler)) == str(scheduler)


def test_a_prompt_that_is_read_within_another_is_read_right():
    """Another thread's tokenizer is called within a tokenizer's call, behind its padding is set."""
    pipe = tiny_prompted.prompted()
    wanted = sample(tiny_prompted.prompted())
    one, other = clone_pipeline(pipe), clone_pipeline(pipe)
    plain = type(one.tokenizer)

    class Interrupted(plain):
        def set_truncation_and_padding(self, *args, **kwargs):
            super().set_truncation_and_padding(*args, **kwargs)
            plain.__call__(other.tokenizer, "sea", padding="longest")

    one.tokenizer.__class__ = Interrupted
    assert torch.equal(sample(one), wanted)


def test_an_autoencoder_that_keeps_frames_is_one_of_its_own():
    pipe = tiny_prompted.prompted()
    vae = AutoencoderKLWan(
        base_dim=4, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    ).eval()
    pipe.vae = vae
    clone = clone_pipeline(pipe)
    assert clone.vae is not vae
    assert next(clone.vae.parameters()) is next(vae.parameters())
    latents = torch.randn(1, 4, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    before = dict(vars(vae))
    with torch.no_grad():
        decoded = clone.vae.decode(latents).sample
        assert vars(vae).keys() == before.keys()
        assert all(vars(vae)[name] is value for name, value in before.items())
        assert torch.equal(vae.decode(latents).sample, decoded)


def test_pipelines_that_a_pipeline_is_made_of_are_cloned():
    pipe = cascade.make_wuerstchen()
    clone = clone_pipeline(pipe)
    assert clone.prior_pipe is not pipe.prior_pipe
    assert clone.prior_prior is clone.prior_pipe.prior is pipe.prior_prior
    assert clone.prior_scheduler is clone.prior_pipe.scheduler is not pipe.prior_scheduler


def test_a_modular_pipeline_gets_a_scheduler_and_a_guider_of_its_own():
    pipe = modular.build(modular.core("WanModularPipeline"), **wan.components())
    pipe.update_components(guider=ClassifierFreeGuidance(5.0))
    clone = clone_pipeline(pipe)
    assert clone.transformer is pipe.transformer
    assert clone.scheduler is not pipe.scheduler
    assert clone.guider is not pipe.guider

    def sampled(one):
        noise = torch.Generator().manual_seed(0)
        return one(output="latents", num_inference_steps=4, generator=noise, **wan.text())

    assert torch.equal(sampled(clone), sampled(pipe))


def test_a_clone_is_accelerated_by_itself():
    pipe = tiny_prompted.prompted()
    wanted = sample(pipe)
    accelerate(pipe, THIRD)
    clone = clone_pipeline(pipe)
    assert session_of(clone) is None
    with accelerate(clone, THIRD) as session:
        cached = sample(clone)
        assert session.report().denoisers[0].speedup > 1
    assert torch.equal(sample(pipe), cached)
    assert torch.equal(sample(clone), wanted)


def test_what_is_no_pipeline_is_refused():
    with pytest.raises(TypeError, match="wanted a pipeline"):
        clone_pipeline(tiny_prompted.prompted().unet)
