"""Sampling loops as people write them: each is cached right, or runs in full and the report says why."""

import copy
import itertools
import types

import pytest
import torch
from diffusers import StableDiffusionPipeline
from torch import nn

from mmcache import accelerate
from tests import tiny

pytestmark = pytest.mark.filterwarnings("ignore:every step is full", "ignore:.*leave little to reuse")

WINDOW = 8  # wide


class Loop(StableDiffusionPipeline):
    """Guidance in one call of the denoiser; what follows changes one thing or another of it."""

    width = 8

    @torch.no_grad()
    def __call__(self, prompt_embeds, negative_prompt_embeds, num_inference_steps, generator, **unused):
        self.random, self.both = generator, torch.cat([negative_prompt_embeds, prompt_embeds])
        self.scheduler.set_timesteps(num_inference_steps)
        x = torch.randn(1, 4, 8, self.width, generator=generator)
        for number, time in enumerate(self.scheduler.timesteps):
            x = self.step(x, number, time)
        return types.SimpleNamespace(images=self.end(x))

    def step(self, x, number, time):
        return self.scheduler.step(self.noise(x, time), time, x, return_dict=False)[0]

    def noise(self, x, time):
        return self.guided(self.unet(torch.cat([x, x]), time, self.both, return_dict=False)[0])

    def guided(self, output):
        without, with_prompt = output.chunk(2)
        return without + 5 * (with_prompt - without)

    def end(self, x):
        return x


class Panorama(Loop):
    """MultiDiffusion: windows that overlap, each a call; their mean is the result."""

    width = 16

    def starts(self, number):
        return 0, 4, 8

    def noise(self, x, time):
        total, count = torch.zeros_like(x), torch.zeros_like(x)
        for start in self.starts(self.scheduler.timesteps.tolist().index(time)):
            window = slice(start, start + WINDOW)
            total[..., window] += super().noise(x[..., window], time)
            count[..., window] += 1
        return total / count


class WindowsBackAndForth(Panorama):
    def starts(self, number):
        return (0, 4, 8) if number % 2 else (8, 4, 0)


class WindowsThatMove(Panorama):
    """As the contexts of long videos, and DemoFusion's."""

    def starts(self, number):
        return 0, *range(3 * number % 4, 8, 4), 8


class RolledLatents(Panorama):
    """A panorama without seams."""

    def step(self, x, number, time):
        return super().step(x.roll(3 * number, -1), number, time).roll(-3 * number, -1)


class SchedulerForEachTile(Loop):
    """Mixture of Diffusers."""

    width = 12

    def step(self, x, number, time):
        if number == 0:
            self.own = [copy.deepcopy(self.scheduler) for _ in range(2)]
        tiles = x[..., :WINDOW], x[..., 4:]
        left, right = (
            scheduler.step(self.noise(tile, time), time, tile).prev_sample
            for scheduler, tile in zip(self.own, tiles, strict=True)
        )
        return torch.cat([left[..., :6], right[..., 2:]], -1)


class TimeTravel(Loop):
    """Some steps are taken twice, with fresh noise in between, as in RePaint and FreeDoM."""

    def step(self, x, number, time):
        before = super().step(x, number, time)
        if number % 3 != 1:
            return before
        kept = self.scheduler.alphas_cumprod
        ratio = kept[time] / kept[self.scheduler.timesteps[number + 1]]
        fresh = torch.randn(x.shape, generator=self.random)
        return super().step(ratio.sqrt() * before + (1 - ratio).sqrt() * fresh, number, time)


class HiresInOneCall(Loop):
    """Twice the size from half of the noise on."""

    def end(self, x):
        x = nn.functional.interpolate(x, scale_factor=2)
        times = self.scheduler.timesteps[len(self.scheduler.timesteps) // 2 :]
        x = self.scheduler.add_noise(x, torch.randn(x.shape, generator=self.random), times[:1])
        for number, time in enumerate(times):
            x = self.step(x, number, time)
        return x


class AnotherPromptMidway(Loop):
    """MagicMix, prompt editing."""

    def step(self, x, number, time):
        if number == 5:
            self.both = self.both.flip(1)
        return super().step(x, number, time)


class PromptTravel(Loop):
    """Another prompt at every step."""

    def step(self, x, number, time):
        self.both = self.both + 0.02
        return super().step(x, number, time)


class Composed(Loop):
    """Composable Diffusion: each prompt is a call."""

    def step(self, x, number, time):
        if number == 0:
            self.prompts = [self.both[:1], self.both[1:], self.both[1:].flip(1)]
        return super().step(x, number, time)

    def noise(self, x, time):
        first, *others = (self.unet(x, time, prompt, return_dict=False)[0] for prompt in self.prompts)
        return first + sum(2 * (other - first) for other in others)


class ForwardItself(Loop):
    """It calls the denoiser's forward, past its hooks."""

    def noise(self, x, time):
        return self.guided(self.unet.forward(torch.cat([x, x]), time, self.both).sample)


class GuidanceAtFirst(Loop):
    def step(self, x, number, time):
        if number < 5:
            return super().step(x, number, time)
        output = self.unet(x, time, self.both[1:], return_dict=False)[0]
        return self.scheduler.step(output, time, x, return_dict=False)[0]


class GuidanceNowAndThen(Loop):
    """At every other step: no call is like one of the step before."""

    def step(self, x, number, time):
        if number % 2:
            return super().step(x, number, time)
        output = self.unet(x, time, self.both[1:], return_dict=False)[0]
        return self.scheduler.step(output, time, x, return_dict=False)[0]


class Gradients(Loop):
    """CLIP guidance: a loss of the denoiser's output, differentiated by the latent."""

    def noise(self, x, time):
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            loss = (x - self.unet(x, time, self.both[1:]).sample).square().mean()
            slope = torch.autograd.grad(loss, x)[0]
        return super().noise(x.detach(), time) + 0.1 * slope


class KDiffusion(Loop):
    """Euler's steps of k-diffusion: a wrapper that takes sigmas, and no scheduler."""

    @torch.no_grad()
    def __call__(self, prompt_embeds, num_inference_steps, generator, **unused):
        kept = self.scheduler.alphas_cumprod
        known = ((1 - kept) / kept).sqrt()
        sigmas = [*torch.linspace(14, 0.1, num_inference_steps), torch.zeros(())]
        x = 14 * torch.randn(1, 4, 8, 8, generator=generator)
        for now, after in itertools.pairwise(sigmas):
            time = (known - now).abs().argmin()[None]
            x = x + (after - now) * self.unet(x / (now**2 + 1) ** 0.5, time, prompt_embeds).sample
        return types.SimpleNamespace(images=x)


class Fabric(Loop):
    """Attention that keeps what a reference shows in one call and reads it in the next (FABRIC)."""

    def step(self, x, number, time):
        if number == 0:
            self.reference = torch.randn(x.shape, generator=self.random)
            self.bank = {}
            for module in self.unet.modules():
                if type(module).__name__ == "BasicTransformerBlock":
                    self.share(module.attn1)
        self.writes = True
        self.unet(self.scheduler.add_noise(self.reference, x, time[None]), time, self.both[1:])
        self.writes = False
        return super().step(x, number, time)

    def share(self, attention):
        inner = type(attention).forward

        def forward(hidden_states, encoder_hidden_states=None, **more):
            if self.writes:
                self.bank[attention] = hidden_states.clone()
            else:
                seen = self.bank[attention].expand_as(hidden_states)
                encoder_hidden_states = torch.cat([hidden_states, seen], 1)
            return inner(attention, hidden_states, encoder_hidden_states=encoder_hidden_states, **more)

        attention.forward = forward


class CountingAttention:
    """Prompt-to-Prompt's: it tells the step by how often it was called."""

    def __init__(self, layers):
        self.calls, self.layers = 0, layers

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, **unused):
        self.calls += 1
        seen = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = map(
            attn.head_to_batch_dim, (attn.to_q(hidden_states), attn.to_k(seen), attn.to_v(seen))
        )
        maps = attn.get_attention_scores(query, key, attention_mask)
        if self.calls // self.layers < 5:
            maps = maps.roll(1, -1)
        return attn.to_out[0](attn.batch_to_head_dim(maps @ value))


class PromptToPrompt(Loop):
    def step(self, x, number, time):
        if number == 0:
            self.unet.set_attn_processor(CountingAttention(len(self.unet.attn_processors)))
        return super().step(x, number, time)


CACHED = {
    Loop: "F00F00F00F",
    Panorama: "FFF000000FFF000000FFF000000FFF",
    WindowsBackAndForth: "FFF000000FFF000000FFF000000FFF",
    SchedulerForEachTile: "FF0000FF0000FF0000FF",
    HiresInOneCall: "F00F0",
    TimeTravel: "F0F0F0F0F0F0F",
    Composed: "FFF000000FFF000000FFF000000FFF",
    ForwardItself: "F00F00F00F",
    GuidanceAtFirst: "F00F0FF00F",
    Gradients: "F00F00F00F",
}
IN_PART = {
    WindowsThatMove: "untold_lanes",
    AnotherPromptMidway: "conditioning_changed",
}
IN_FULL = {
    RolledLatents: "untold_lanes",
    PromptTravel: "conditioning_changed",
    GuidanceNowAndThen: "every_step_full",
    KDiffusion: "runs_in_full",
    Fabric: "every_step_full",
    PromptToPrompt: "every_step_full",
}


def runs(kind):
    """Latents of a plain run and of a cached one, which calls were full, and the notes' kinds."""
    pipe = tiny.small(kind)
    plain = tiny.sample(pipe)
    with accelerate(pipe, interval=1):
        assert torch.equal(tiny.sample(pipe), plain)
    with accelerate(pipe, interval=3) as session:
        cached = tiny.sample(pipe)
        ran, notes = tiny.steps_of(session), {note.kind for note in session.report().notes}
    assert torch.equal(tiny.sample(pipe), plain)
    return plain, cached, ran, notes


@pytest.mark.parametrize("kind", CACHED)
def test_cached(kind):
    plain, cached, ran, _ = runs(kind)
    assert ran == CACHED[kind]
    assert 0 < (cached - plain).norm() < 0.06 * plain.norm()


@pytest.mark.parametrize("kind", IN_PART)
def test_cached_where_a_call_goes_on_from_one_of_the_step_before(kind):
    plain, cached, ran, notes = runs(kind)
    assert "0" in ran
    assert IN_PART[kind] in notes
    assert 0 < (cached - plain).norm() < 0.06 * plain.norm()


@pytest.mark.parametrize("kind", IN_FULL)
def test_in_full_and_the_report_says_why(kind):
    plain, cached, ran, notes = runs(kind)
    assert not ran.strip("F")
    assert IN_FULL[kind] in notes
    assert torch.equal(cached, plain)
