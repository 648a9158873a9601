"""Residuals from beside the U-Net, and several denoiser calls per step."""

import pytest
import torch
from diffusers import (
    ControlNetModel,
    StableDiffusionAdapterPipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionPanoramaPipeline,
    T2IAdapter,
)

from mmcache import Plan, Taylor, Uniform, accelerate
from mmcache.testing import check_fresh, check_interval_one, check_one_feature, check_same_input
from tests import tiny

PLAN = Plan(Uniform(3), Taylor(1), branch=1)
PICTURE = torch.rand(1, 3, tiny.SIZE, tiny.SIZE, generator=torch.Generator().manual_seed(5))


def parts():
    return {
        "vae": tiny.vae(),
        "text_encoder": None,
        "tokenizer": None,
        "unet": tiny.small_unet(),
        "scheduler": tiny.ddim(),
        "safety_checker": None,
        "feature_extractor": None,
        "requires_safety_checker": False,
    }


def quiet(pipe):
    pipe.set_progress_bar_config(disable=True)
    return pipe


def with_controlnet():
    torch.manual_seed(2)
    controlnet = ControlNetModel.from_unet(
        tiny.small_unet(), conditioning_embedding_out_channels=(8, 8)
    ).eval()
    for layer in (*controlnet.controlnet_down_blocks, controlnet.controlnet_mid_block):
        torch.nn.init.normal_(layer.weight, std=0.3)  # trained ones are not zero
    return quiet(StableDiffusionControlNetPipeline(controlnet=controlnet, **parts()))


def with_t2i_adapter():
    torch.manual_seed(2)
    adapter = T2IAdapter(channels=[16, 16], num_res_blocks=1, downscale_factor=2, adapter_type="full_adapter")
    return quiet(StableDiffusionAdapterPipeline(adapter=adapter.eval(), **parts()))


def sample_controlnet(pipe, **changes):
    return tiny.sample(pipe, image=PICTURE, **changes)


def sample_t2i(pipe):
    return tiny.sample(pipe, image=PICTURE, adapter_conditioning_scale=0.8)


@pytest.mark.parametrize(
    ("make", "run"), [(with_controlnet, sample_controlnet), (with_t2i_adapter, sample_t2i)]
)
def test_residuals_of_layers_that_do_not_run_are_dropped(make, run):
    check_same_input(make(), run)
    check_interval_one(make, run)
    check_fresh(make, run, PLAN)


def test_the_residuals_matter():
    """Otherwise the test above would compare pictures without them."""
    plain = tiny.sample(tiny.small())
    assert not torch.equal(sample_controlnet(with_controlnet()), plain)
    assert not torch.equal(sample_t2i(with_t2i_adapter()), plain)


# Tiles: several denoiser calls and several scheduler steps per sampling step


def panorama():
    one_level = {
        "block_out_channels": (8,),
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D",),
        "up_block_types": ("UpBlock2D",),
        "mid_block_type": "UNetMidBlock2D",  # attention over 4,096 places would take most of the time
    }
    return quiet(StableDiffusionPanoramaPipeline(**parts() | {"unet": tiny.unet(**one_level)}))


def sample_panorama(pipe, **changes):
    # Two views: the pipeline takes an eighth of the size, and windows of 64 with a stride of 8.
    size = {"height": 8 * 64, "width": 8 * 72, "num_inference_steps": 5}
    return tiny.sample(pipe, **size | changes)


@pytest.mark.filterwarnings("ignore:5 steps")
def test_every_tile_has_a_lane_of_its_own():
    check_interval_one(panorama, sample_panorama)
    pipe = panorama()
    session = accelerate(pipe, interval=3)
    sample_panorama(pipe)
    steps = session.report().denoisers[0].steps
    assert [step.step for step in steps] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert [step.lane for step in steps] == [0, 1] * 5
    assert tiny.steps_of(session) == "FF0000FF00"
    check_one_feature(panorama(), sample_panorama, Plan(Uniform(3)))
