"""The laws of every adapter, at every branch, for every sampler."""

from dataclasses import replace

import diffusers
import pytest

from mmcache import Adaptive, NonUniform, Plan, Taylor, Uniform, accelerate
from mmcache.architectures.component import Denoiser
from mmcache.architectures.registry import adapter_for
from mmcache.engine.run import Run
from mmcache.layouts.skip_unet import SkipUNet
from mmcache.testing import (
    LawBroken,
    check_adapter,
    check_cheaper,
    check_fresh,
    check_independent,
    check_interval_one,
    check_one_feature,
    check_refuse,
    check_restore,
    check_same_input,
    kept_features,
    laws,
    probes,
)
from tests import tiny

SAMPLERS = [
    "DDIMScheduler",
    "PNDMScheduler",
    "EulerDiscreteScheduler",
    "EulerAncestralDiscreteScheduler",
    "HeunDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "DPMSolverMultistepScheduler",
    "UniPCMultistepScheduler",
    "LCMScheduler",
    "DDPMScheduler",
]

# One that adds nothing, one that repeats a time, one of two calls a step, one that adds noise.
QUICK = ("DDIMScheduler", "PNDMScheduler", "HeunDiscreteScheduler", "EulerAncestralDiscreteScheduler")

PIPELINES = {
    "Stable Diffusion": (tiny.small, tiny.sample),
    "SDXL": (tiny.sdxl, tiny.sample_sdxl),
    "DDPM": (tiny.ddpm, tiny.sample_ddpm),
}


def eight_steps(pipe):
    """Of every second full step four: the fourth takes the place of the oldest of three features."""
    return tiny.sample(pipe, num_inference_steps=8)


# By default two branches, the first and one that runs nothing; the others take minutes.
BRANCHES = [(0, "none"), pytest.param(None, marks=pytest.mark.slow)]


@pytest.mark.parametrize("branches", BRANCHES, ids=["two branches", "all branches"])
# SDXL has the layout of Stable Diffusion; its pipelines keep the laws in test_pipelines.
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "SDXL" else []) for name in PIPELINES]
)
def test_all_laws(name, branches):
    check_adapter(*PIPELINES[name], Plan(Uniform(3), Taylor(1)), branches)


@pytest.mark.filterwarnings("ignore:8 steps leave little")
@pytest.mark.parametrize(
    "sampler", [pytest.param(one, marks=[] if one in QUICK else pytest.mark.slow) for one in SAMPLERS]
)
def test_laws_of_a_run_with_every_sampler(sampler):
    def make():
        scheduler = getattr(diffusers, sampler).from_config(tiny.ddim().config)
        return tiny.small(scheduler=scheduler)

    plan = Plan(Uniform(2), Taylor(2), branch=1)
    check_interval_one(make, eight_steps)
    check_restore(make, eight_steps, plan)
    check_fresh(
        make, eight_steps, plan, between=lambda pipe: tiny.sample(pipe, num_inference_steps=7, batch=2)
    )
    check_independent(make, eight_steps, plan)
    check_one_feature(make(), eight_steps, plan)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_full_steps_are_evenly_spaced_with_every_sampler(sampler):
    pipe = tiny.small(scheduler=getattr(diffusers, sampler).from_config(tiny.ddim().config))
    session = accelerate(pipe, interval=3)
    tiny.sample(pipe)
    steps = tiny.steps_of(session)
    assert steps == ("F00" * len(steps))[: len(steps)]
    assert len(steps) == len(pipe.scheduler.timesteps)


@pytest.mark.filterwarnings("ignore:8 steps leave little")
@pytest.mark.parametrize(
    "plan",
    [
        Plan(NonUniform(2, center=4, power=1.4), Taylor(1), branch=2),
        Plan(Adaptive(0.2, longest=2), Taylor(2)),
        Plan(Uniform(4), branch=(0, 0, 3, 0, 0, 0, 1, 0)),
        Plan(Uniform(3, warmup=3, cooldown=1), Taylor(3)),
    ],
    ids=["non-uniform", "adaptive", "a branch per step", "warm-up and cool-down"],
)
def test_laws_of_a_run_with_every_kind_of_plan(plan):
    check_restore(tiny.small, eight_steps, plan)
    check_fresh(tiny.small, eight_steps, plan)
    check_independent(tiny.small, eight_steps, plan)
    check_one_feature(tiny.small(), eight_steps, plan)


BLOCKS = {
    "simple cross-attention and resnet samplers (DeepFloyd IF, unCLIP)": {
        "down_block_types": ("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"),
        "up_block_types": ("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
        "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
        "block_out_channels": (16, 32),
    },
    "k-diffusion blocks (latent upscaler)": {
        "down_block_types": ("KDownBlock2D", *("KCrossAttnDownBlock2D",) * 3),
        "up_block_types": (*("KCrossAttnUpBlock2D",) * 3, "KUpBlock2D"),
        "mid_block_type": None,
        "block_out_channels": (32, 32, 64, 64),
        "time_embedding_type": "fourier",
        "time_embedding_dim": 64,
        "resnet_time_scale_shift": "scale_shift",
        "conv_in_kernel": 1,
        "conv_out_kernel": 1,
        "norm_num_groups": None,
        "act_fn": "gelu",
    },
    "attention without text, plain mid block": {
        "down_block_types": ("AttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "AttnUpBlock2D"),
        "mid_block_type": "UNetMidBlock2D",
        "block_out_channels": (16, 32),
    },
    "no mid block": {"mid_block_type": None},
    "a number of layers per block": {"layers_per_block": (1, 3, 2)},
    "one layer": {"layers_per_block": 1},
    "one level": {
        "block_out_channels": (16,),
        "down_block_types": ("CrossAttnDownBlock2D",),
        "up_block_types": ("UpBlock2D",),
    },
}


@pytest.mark.parametrize("name", BLOCKS)
def test_same_input_with_every_block_type(name):
    check_same_input(tiny.stable_diffusion(**BLOCKS[name]), tiny.sample)


UNCONDITIONAL_BLOCKS = {
    "skip blocks (NCSN++)": {
        "down_block_types": ("SkipDownBlock2D", "AttnSkipDownBlock2D", "SkipDownBlock2D"),
        "up_block_types": ("SkipUpBlock2D", "AttnSkipUpBlock2D", "SkipUpBlock2D"),
        "block_out_channels": (32, 64, 64),
        "time_embedding_type": "fourier",
    },
    "skip blocks without mid block": {
        "down_block_types": ("SkipDownBlock2D", "SkipDownBlock2D"),
        "up_block_types": ("SkipUpBlock2D", "SkipUpBlock2D"),
        "block_out_channels": (32, 64),
        "mid_block_type": None,
    },
    "resnet samplers": {
        "down_block_types": ("ResnetDownsampleBlock2D", "AttnDownBlock2D"),
        "up_block_types": ("AttnUpBlock2D", "ResnetUpsampleBlock2D"),
        "downsample_type": "resnet",
        "upsample_type": "resnet",
    },
    "no mid block": {"mid_block_type": None},
}


@pytest.mark.parametrize("name", UNCONDITIONAL_BLOCKS)
def test_same_input_with_every_unconditional_block_type(name):
    check_same_input(tiny.ddpm(**UNCONDITIONAL_BLOCKS[name]), tiny.sample_ddpm)


def adapter_with(layout):
    return replace(adapter_for(tiny.unet()), layout=layout)


class TappedOneLayerOff(SkipUNet):
    """Its tap listens one layer deeper at branch 4, where the feature has the same shape."""

    def cut(self, model, branch):
        right, deeper = super().cut(model, branch), super().cut(model, min(branch + 1, 8))
        return replace(right, tap=deeper.tap, listen=deeper.listen) if branch == 4 else right


class Leaky(SkipUNet):
    """One branch, which keeps more than the cheapest does."""

    def branches(self, model):
        return 1

    def cut(self, model, branch):
        return super().cut(model, 2)


def test_a_wrong_tap_breaks_law_1(monkeypatch):
    monkeypatch.setattr(probes, "find_denoisers", lambda pipe: {"unet": Denoiser("unet", pipe.unet, wrong)})
    wrong = adapter_with(TappedOneLayerOff())
    with pytest.raises(LawBroken, match="law 1: unet, branch 4: cached and full"):
        check_same_input(tiny.stable_diffusion(), tiny.sample)


class Leaving:
    """Sampling that breaks a law."""

    def __init__(self):
        self.calls = 0

    def random(self, pipe):
        self.calls += 1
        return tiny.sample(pipe) + self.calls

    def marking(self, pipe):
        self.calls += 1
        pipe.unet.mark = self.calls > 2  # not in the plain calls before
        return tiny.sample(pipe)


def test_what_takes_the_place_of_something_let_go_is_seen():
    """Some models make a list anew at every call, and a new one may stand where the first one stood."""
    pipe = tiny.ddpm()
    pipe.unet.made_anew = [1]
    place = id(pipe.unet.made_anew)
    before = probes.anatomy(pipe)
    for _ in range(100):
        pipe.unet.made_anew = [1]
        if id(pipe.unet.made_anew) == place:
            break
    assert probes.differences(before, probes.anatomy(pipe)) == ["unet..made_anew"]


def test_each_law_can_be_broken(monkeypatch):
    plan = Plan(Uniform(3))
    make = tiny.small
    with pytest.raises(LawBroken, match="law 2"):
        check_interval_one(make, Leaving().random)
    with pytest.raises(LawBroken, match=r"law 3: changed after restore: .*mark"):
        check_restore(make, Leaving().marking, plan)
    with pytest.raises(LawBroken, match="law 4"):
        check_fresh(make, Leaving().random, plan)
    with pytest.raises(LawBroken, match="law 5"):
        check_independent(make, Leaving().random, plan)
    with monkeypatch.context() as patch:
        patch.setattr(probes, "find_denoisers", lambda pipe: {"unet": Denoiser("unet", pipe.unet, leaky)})
        leaky = adapter_with(Leaky())
        patch.setattr(laws, "dead_modules", lambda model, cut: [])
        with pytest.raises(LawBroken, match="law 6"):
            check_cheaper(make(), tiny.sample)
    with monkeypatch.context() as patch:
        patch.setattr(Run, "bytes_held", lambda self: 1)
        with pytest.raises(LawBroken, match="law 7"):
            check_one_feature(make(), tiny.sample, plan)
    with monkeypatch.context() as patch:
        patch.setattr(kept_features, "feature_bytes", lambda model, cut, call: 1)
        with pytest.raises(LawBroken, match="law 7: unet: holds"):
            check_one_feature(make(), tiny.sample, Plan(Uniform(3), Taylor(1)))
    with monkeypatch.context() as patch:
        patch.setattr(laws, "accelerate", lambda pipe, **options: None)
        with pytest.raises(LawBroken, match="law 8"):
            check_refuse(make())
