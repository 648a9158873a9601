"""Pipelines as people write them: what cannot be known runs in full, and the report says so."""

import copy
import types

import pytest
import torch
from diffusers import StableDiffusionPipeline, UNet2DConditionModel
from torch import nn

from mmcache import accelerate
from tests import tiny

pytestmark = pytest.mark.filterwarnings("ignore:every step is full", "ignore:deep layers may be read")


class Wrapper(nn.Module):
    """A denoiser in a module of somebody's own."""

    def __init__(self, model):
        super().__init__()
        self.model, self.config = model, model.config
        self.dtype, self.device = model.dtype, model.device

    def forward(self, *args, **kwargs):
        return self.model(*args, **kwargs)


class Tiled(Wrapper):
    """Three tiles that overlap, each a call; their mean is the result."""

    def forward(self, sample, timestep, return_dict=True, **kwargs):
        total, count = torch.zeros_like(sample), torch.zeros_like(sample)
        for start in (0, 4, 8):
            tile = sample[..., start : start + 8]
            total[..., start : start + 8] += self.model(tile, timestep, return_dict=False, **kwargs)[0]
            count[..., start : start + 8] += 1
        return (total / count,)


class Regions(Wrapper):
    """Another prompt for the right half of the image."""

    def forward(self, sample, timestep, encoder_hidden_states, return_dict=True, **kwargs):
        left = self.model(sample, timestep, encoder_hidden_states, return_dict=False)[0]
        right = self.model(sample, timestep, encoder_hidden_states.flip(1), return_dict=False)[0]
        half = sample.shape[-1] // 2
        return (torch.cat([left[..., :half], right[..., half:]], -1),)


def with_forward(forward):
    """A pipeline whose U-Net has this forward in place of its own, as an attribute."""
    pipe = tiny.small()
    pipe.unet.forward = types.MethodType(forward, pipe.unet)
    return pipe


def halved_at_first(self, sample, timestep, encoder_hidden_states, return_dict=True, **more):
    """At half the size while there is much noise, as the community's kohya_hires_fix."""
    halved = float(torch.as_tensor(timestep).max()) > 500
    seen = nn.functional.interpolate(sample, scale_factor=0.5) if halved else sample
    own = UNet2DConditionModel.forward
    out = own(self, seen, timestep, encoder_hidden_states, return_dict=False, **more)[0]
    return (nn.functional.interpolate(out, size=sample.shape[-2:]),)


def wrapped(kind):
    pipe = tiny.small(sample_size=tiny.SIZE)
    pipe.unet = kind(pipe.unet)
    return pipe


@pytest.mark.parametrize(("kind", "calls"), [(Wrapper, 1), (Tiled, 3), (Regions, 2)])
def test_a_denoiser_within_a_wrapper_is_cached_and_its_calls_are_lanes(kind, calls):
    pipe = wrapped(kind)
    plain = tiny.sample(pipe)
    with accelerate(pipe, interval=3) as session:
        result = tiny.sample(pipe)
        assert list(session.denoisers) == ["unet.model"]
        assert tiny.steps_of(session) == "".join(letter * calls for letter in "F00F00F00F")
    assert 0 < (result - plain).norm() < 0.3 * plain.norm()
    assert torch.equal(tiny.sample(pipe), plain)
    with accelerate(pipe, interval=1):
        assert torch.equal(tiny.sample(pipe), plain)


@pytest.mark.parametrize("branch", [0, 3])
def test_a_forward_that_somebody_has_put_on_the_model_is_verified_first(branch):
    pipe = with_forward(halved_at_first)
    plain = tiny.sample(pipe)
    with accelerate(pipe, interval=3, branch=branch) as session:
        result = tiny.sample(pipe)
        kinds = {note.kind for note in session.report().notes}
    assert "every_step_full" in kinds
    assert (result - plain).norm() < 0.3 * plain.norm()
    assert torch.equal(tiny.sample(pipe), plain)


class StepsByItself(StableDiffusionPipeline):
    """DDIM in its own `__call__`, with timesteps that are plain numbers."""

    @torch.no_grad()
    def __call__(self, prompt_embeds, num_inference_steps, generator, **unused):
        self.scheduler.set_timesteps(num_inference_steps)
        x, kept = torch.randn(1, 4, 16, 16, generator=generator), self.scheduler.alphas_cumprod
        times = [int(t) for t in self.scheduler.timesteps]
        for now, then in zip(times, [*times[1:], 0], strict=True):
            noise = self.unet(x, now, encoder_hidden_states=prompt_embeds).sample
            clean = (x - (1 - kept[now]).sqrt() * noise) / kept[now].sqrt()
            x = kept[then].sqrt() * clean + (1 - kept[then]).sqrt() * noise
        return types.SimpleNamespace(images=x)


class StepsByACopy(StableDiffusionPipeline):
    """It samples with a scheduler that nobody sees."""

    @torch.no_grad()
    def __call__(self, prompt_embeds, num_inference_steps, generator, **unused):
        scheduler = copy.deepcopy(self.scheduler)
        scheduler.set_timesteps(num_inference_steps)
        x = torch.randn(1, 4, 16, 16, generator=generator)
        for t in scheduler.timesteps:
            x = scheduler.step(self.unet(x, t, encoder_hidden_states=prompt_embeds).sample, t, x).prev_sample
        return types.SimpleNamespace(images=x)


@pytest.mark.parametrize("kind", [StepsByItself, StepsByACopy])
def test_a_call_of_its_own_that_shows_no_steps_runs_in_full_and_says_so(kind):
    pipe = tiny.small(kind)
    plain = tiny.sample(pipe)
    with accelerate(pipe, interval=3) as session:
        assert torch.equal(tiny.sample(pipe), plain)
        assert "runs_in_full" in {note.kind for note in session.report().notes}


def test_reference_only_runs_in_full_and_says_so():
    """Blocks whose forward keeps what a reference image's pass shows, and hands it to the other pass."""
    pipe = tiny.small(mid_block_type="UNetMidBlock2DCrossAttn")
    bank = {}

    def reading(block):
        inner = block.forward

        def forward(hidden_states, *args, **kwargs):
            hidden_states = hidden_states + 0.1 * bank.get(block, 0.0)
            bank[block] = hidden_states.mean()
            return inner(hidden_states, *args, **kwargs)

        block.forward = forward

    for block in pipe.unet.mid_block.attentions[0].transformer_blocks:
        reading(block)
    plain = tiny.sample(pipe)
    bank.clear()
    with accelerate(pipe, interval=3) as session:
        assert torch.equal(tiny.sample(pipe), plain)
        assert "every_step_full" in {note.kind for note in session.report().notes}
