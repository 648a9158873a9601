"""Diffusion transformers: what a branch keeps, how streams are found, models that nobody has described."""

import warnings

import pytest
import torch
from diffusers import (
    FirstBlockCacheConfig,
    FlowMatchEulerDiscreteScheduler,
    FluxTransformer2DModel,
    PixArtTransformer2DModel,
)
from torch import nn

from mmcache import (
    Adaptive,
    Plan,
    Uniform,
    UnsupportedPipelineError,
    accelerate,
    general_adapter,
    register,
)
from mmcache.architectures import registry
from mmcache.architectures.block_source import streams_of
from mmcache.architectures.registry import adapter_for
from mmcache.layouts.block_stack import branches_of_stack, kept_at_either_end
from mmcache.layouts.cut import cached_view
from mmcache.layouts.stand_ins import Enter, PassThrough, RejoinBefore
from mmcache.testing import check_cheaper, check_same_input
from mmcache.tools.inspecting.inspection import inspect
from tests import tiny
from tests.zoo.transformers import flux, wan

pytestmark = pytest.mark.filterwarnings("ignore:[0-9]+ steps leave little")


@pytest.mark.parametrize(
    ("blocks", "kept"),
    [
        (2, []),
        (3, [1]),
        (5, [1, 2]),
        (8, [1, 2, 3]),
        (16, [1, 2, 3, 4]),
        (28, [1, 2, 4, 7]),  # PixArt, DiT-XL
        (40, [1, 3, 5, 10]),  # Wan 14B
        (57, [2, 4, 7, 14]),  # Flux
        (60, [2, 4, 8, 15]),  # Qwen-Image
    ],
)
def test_a_branch_keeps_the_same_share_of_every_model(blocks, kept):
    branches = branches_of_stack(blocks)
    assert [kept_at_either_end(blocks, branch) for branch in range(branches)] == kept
    if blocks >= 28:
        shares = [2 * ends / blocks for ends in kept]
        assert shares == pytest.approx([1 / 16, 1 / 8, 1 / 4, 1 / 2], rel=0.25)


def flux_model(double=2, single=6):
    torch.manual_seed(0)
    return FluxTransformer2DModel(
        patch_size=1,
        in_channels=4,
        num_layers=double,
        num_single_layers=single,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=16,
        pooled_projection_dim=8,
        axes_dims_rope=[2, 2, 4],
    ).eval()


def call_flux(model):
    with torch.no_grad():
        model(
            hidden_states=torch.randn(1, 4, 4),
            encoder_hidden_states=torch.randn(1, 3, 16),
            pooled_projections=torch.randn(1, 8),
            timestep=torch.tensor([0.5]),
            img_ids=torch.zeros(4, 3),
            txt_ids=torch.zeros(3, 3),
        )


def test_a_deep_part_spans_two_lists_whose_blocks_hand_on_the_same_streams():
    model = flux_model()
    cut = adapter_for(model).cut(model, 0)
    smaller = cached_view(model, cut).module
    kinds = [type(block) for block in (*smaller.transformer_blocks, *smaller.single_transformer_blocks)]
    head, enter, *between, tail = kinds
    assert head is type(model.transformer_blocks[0])
    # What a ControlNet adds behind the last deep block belongs to the deep part.
    assert (enter, tail) == (Enter, RejoinBefore)
    assert set(between) == {PassThrough}
    check_same_input(model, call_flux)
    check_cheaper(model, call_flux)


class TwoOutOfOrder(nn.Module):
    def forward(self, picture, scale, text):
        return text + 1, picture  # an expression is no stream


class Last(nn.Module):
    def forward(self, scale, x):
        x = x * scale
        return x


class Returns(nn.Module):
    def forward(self, x, scale):
        def unrelated():
            return scale

        return x + unrelated()


def test_streams_are_what_a_blocks_own_forward_returns():
    assert streams_of(flux_model().transformer_blocks[0]) == ("encoder_hidden_states", "hidden_states")
    assert streams_of(Last()) == ("x",)
    assert streams_of(Returns()) == ("x",)
    with pytest.raises(UnsupportedPipelineError, match=r"TwoOutOfOrder\.forward does not show"):
        streams_of(TwoOutOfOrder())


class Block(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.layer = nn.Linear(channels, channels)

    def forward(self, x, time):
        return x + torch.sin(self.layer(x) * time)


class Unknown(nn.Module):
    """A transformer that no adapter describes."""

    def __init__(self, layers=6, channels=8):
        super().__init__()
        self.blocks = nn.ModuleList(Block(channels) for _ in range(layers))
        self.out = nn.Linear(channels, channels)

    def forward(self, x, timestep):
        for block in self.blocks:
            x = block(x, timestep / 1000)
        return (self.out(x),)


class Crooked(Unknown):
    """What its blocks are given is not all that they hand on."""

    def forward(self, x, timestep):
        total = x
        for block in self.blocks:
            x = block(x, timestep / 1000)
            total = total + x
        return (self.out(total),)


def run_loop(model, scheduler, steps=12):
    generator = torch.Generator().manual_seed(0)
    latent = torch.randn(1, 5, 8, generator=generator)
    scheduler.set_timesteps(steps)
    with torch.no_grad():
        for t in scheduler.timesteps:
            latent = scheduler.step(model(latent, t)[0], t, latent).prev_sample
    return latent


def built(kind):
    torch.manual_seed(0)
    return kind().eval(), FlowMatchEulerDiscreteScheduler()


class Changing(Unknown):
    """It writes into what it is given."""

    def forward(self, x, timestep):
        x *= 0.9
        return super().forward(x, timestep)


class Remembering(Unknown):
    """Its blocks keep something from call to call."""

    def forward(self, x, timestep):
        for block in self.blocks:
            x = block(x, timestep / 1000)
            block.memory = x
        return (self.out(x) + self.blocks[2].memory,)


class Wrapped:
    def __init__(self, sample):
        self.sample = sample

    def __getitem__(self, index):
        return self.sample


class Hiding(Crooked):
    """What it returns cannot be looked into."""

    def forward(self, x, timestep):
        return Wrapped(*super().forward(x, timestep))


@pytest.fixture(autouse=True)
def registry_as_it_was(monkeypatch):
    monkeypatch.setattr(registry, "_registered", registry._registered)


def found(kind):
    """A model whose blocks are looked for, as its owner asked."""
    model, scheduler = built(kind)
    register(general_adapter(model))
    return model, scheduler


def test_a_model_that_nobody_has_described_is_refused_and_told_how_its_blocks_are_found():
    with pytest.raises(UnsupportedPipelineError, match=r"mmcache\.general_adapter"):
        accelerate(built(Unknown)[0], interval=3)


@pytest.mark.parametrize("kind", [Remembering, Hiding])
def test_what_cannot_be_shown_is_not_cached_and_the_run_is_the_plain_one(kind):
    model, scheduler = found(kind)
    session = accelerate(model, interval=3, scheduler=scheduler)
    with pytest.warns(UserWarning, match="every step is full"):
        drawn = run_loop(model, scheduler)
    assert torch.equal(drawn, run_loop(*built(kind)))
    assert tiny.steps_of(session) == "F" * 12


def test_showing_it_does_not_touch_the_run():
    model, scheduler = found(Changing)
    session = accelerate(model, interval=1, scheduler=scheduler)
    assert torch.equal(run_loop(model, scheduler), run_loop(*built(Changing)))
    assert any("the cut was verified" in note for note in session.report().notes)


def test_a_model_that_was_found_is_bound_anew_when_it_is_compiled():
    model, scheduler = found(Unknown)
    accelerate(model, interval=3, scheduler=scheduler)
    wanted = run_loop(model, scheduler)
    model.compile(backend="eager")
    session = accelerate(model, interval=3, scheduler=scheduler)
    assert torch.equal(run_loop(model, scheduler), wanted)
    assert tiny.steps_of(session) == "F00" * 4


def test_a_model_that_nobody_has_described_is_cut_after_the_first_step_has_shown_that_it_is_right():
    model, scheduler = found(Unknown)
    plain = run_loop(*built(Unknown))
    session = accelerate(model, interval=3, scheduler=scheduler)
    assert "found: blocks" in session.notes[0]
    cached = run_loop(model, scheduler)
    assert tiny.steps_of(session) == "F00" * 4
    assert any("the cut was verified on 1 kinds of calls" in note for note in session.report().notes)
    assert 0 < (cached - plain).abs().max() < 0.2 * plain.abs().max()


def test_where_it_is_not_right_every_step_is_full():
    model, scheduler = found(Crooked)
    session = accelerate(model, interval=3, scheduler=scheduler)
    with pytest.warns(UserWarning, match="every step is full: cutting it at branch 0 is not right"):
        result = run_loop(model, scheduler)
    assert torch.equal(result, run_loop(*built(Crooked)))
    assert tiny.steps_of(session) == "F" * 12
    assert any("differs by up to" in note for note in session.report().notes)


def test_a_model_without_blocks_is_refused():
    with pytest.raises(UnsupportedPipelineError, match="Block"):
        accelerate(Block(4))


def flux_case():
    return next(case for case in flux.CASES if case.pipeline == "FluxPipeline")


def test_another_cache_on_the_model_is_refused_before_and_noticed_after():
    case = flux_case()
    pipe = case.make()
    pipe.transformer.enable_cache(FirstBlockCacheConfig(threshold=0.1))
    with pytest.raises(UnsupportedPipelineError, match=r"FirstBlockCacheConfig.*call disable_cache"):
        accelerate(pipe)
    pipe.transformer.disable_cache()
    accelerate(pipe, interval=2)
    case.sample(pipe, True)
    pipe.transformer.enable_cache(FirstBlockCacheConfig(threshold=0.1))
    with pytest.raises(UnsupportedPipelineError, match="disable_cache"):
        case.sample(pipe, True)


@pytest.mark.parametrize("mark", ["_is_cached", "enable_teacache"])
def test_caches_of_other_packages_are_known_by_what_they_leave_on_a_model(mark):
    pipe = flux_case().make()
    setattr(pipe.transformer, mark, True)
    with pytest.raises(UnsupportedPipelineError, match="can follow one cache only"):
        accelerate(pipe)


def test_processes_that_each_hold_a_part_do_not_decide_by_it():
    pipe = flux_case().make()
    pipe.transformer._parallel_config = object()  # as enable_parallelism leaves it
    with pytest.raises(UnsupportedPipelineError, match=r"spread over processes.*such as Uniform"):
        accelerate(pipe, policy=Adaptive(0.1))
    accelerate(pipe, interval=2)


def blocks_offloaded(pipe):
    pipe.transformer.enable_group_offload(
        onload_device=torch.device("cpu"), offload_type="block_level", num_blocks_per_group=1
    )


def cast_layerwise(pipe):
    pipe.transformer.enable_layerwise_casting(storage_dtype=torch.bfloat16, compute_dtype=torch.float32)


@pytest.mark.parametrize("hook", [blocks_offloaded, cast_layerwise])
@pytest.mark.parametrize("when", ["before", "after"])
def test_diffusers_own_hooks_stay_in_place(hook, when):
    case = flux_case()
    pipes = case.make(), case.make()
    hook(pipes[1])
    if when == "before":
        hook(pipes[0])
    accelerate(pipes[0], Plan(Uniform(1)))
    if when == "after":
        hook(pipes[0])
    assert torch.equal(case.sample(pipes[0], True), case.sample(pipes[1], True))
    with accelerate(pipes[0], interval=2) as session:
        case.sample(pipes[0], True)
        assert session.report().denoisers[0].cached_steps > 0


def test_guidance_in_turns_has_a_lane_for_each_prompt():
    case = next(case for case in wan.CASES if case.pipeline == "WanPipeline")
    pipe = case.make()
    with accelerate(pipe, interval=2) as session:
        case.sample(pipe, True)
        steps = session.report().denoisers[0].steps
    assert [step.lane for step in steps] == [0, 1] * (len(steps) // 2)
    assert tiny.steps_of(session).startswith("FF00")


def test_the_default_plan_says_that_it_was_not_measured():
    case = next(case for case in wan.CASES if case.pipeline == "WanPipeline")
    with accelerate(case.make()) as session:
        assert "no trained model of this kind ships with mmcache" in session.plan.evidence


def test_a_model_with_too_few_blocks_is_refused_with_a_reason():
    model = PixArtTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=4,
        in_channels=4,
        num_layers=2,
        sample_size=8,
        cross_attention_dim=8,
        caption_channels=8,
    )
    with pytest.raises(UnsupportedPipelineError, match="fewer than three blocks"):
        accelerate(model, scheduler=FlowMatchEulerDiscreteScheduler())


def test_inspect_says_in_words_which_blocks_stay():
    (found,) = inspect(flux_model(double=4, single=12))
    assert [branch.layers for branch in found.branches] == [
        "transformer_blocks 0 of 4 | single_transformer_blocks 11 of 12",
        "transformer_blocks 0-1 of 4 | single_transformer_blocks 10-11 of 12",
        "transformer_blocks 0-2 of 4 | single_transformer_blocks 9-11 of 12",
        "single_transformer_blocks 8-11 of 12",
    ]


def test_few_steps_are_warned_of():
    case = flux_case()
    pipe = case.make()
    with accelerate(pipe, interval=2), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        case.sample(pipe, True)
    assert any("steps leave little to reuse" in str(warning.message) for warning in caught)
