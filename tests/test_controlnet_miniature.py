"""The ControlNet miniature: its edges, the measure that compares them, and what it draws."""

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionControlNetPipeline

from mmcache_demos import load_miniature, miniature
from mmcache_demos.portraits.attributes import random_portrait
from mmcache_demos.portraits.controlnet.edges import agreement, edge_pictures, edges
from mmcache_demos.portraits.controlnet.evaluate import draw_along
from mmcache_demos.portraits.controlnet.train import edge_controlnet
from mmcache_demos.portraits.dataset import seeds
from mmcache_demos.portraits.drawing import draw
from mmcache_demos.portraits.evaluate import draw_captions
from mmcache_demos.portraits.fine_tuning import shipped_parts

MEBIBYTE = 2**20
STEPS = 8


@pytest.fixture(scope="module")
def pipeline() -> StableDiffusionControlNetPipeline:
    return load_miniature("controlnet")


@pytest.fixture(scope="module")
def portraits() -> np.ndarray:
    return np.stack([draw(random_portrait(seed)) for seed in seeds("evaluation", 4)])


def test_it_is_stable_diffusions_controlnet_and_only_that_is_stored(pipeline):
    assert type(pipeline).__name__ == "StableDiffusionControlNetPipeline"
    assert {pipeline.controlnet.dtype, pipeline.unet.dtype} == {torch.float32}
    weights = list(miniature("controlnet").rglob("*.safetensors"))
    assert [path.parent for path in weights] == [miniature("controlnet")]
    assert weights[0].stat().st_size <= 9 * MEBIBYTE


def test_before_training_it_adds_nothing():
    base = shipped_parts("cpu").unet
    torch.manual_seed(0)
    latents, prompts, lines = torch.randn(2, 4, 16, 16), torch.randn(2, 40, 128), torch.rand(2, 3, 128, 128)
    with torch.no_grad():
        down, middle = edge_controlnet(base)(latents, 500, prompts, lines, return_dict=False)
    assert len(down) == 9
    assert not any(residual.any() for residual in (*down, middle))


def test_edges_are_thin_lines_where_colours_change():
    picture = np.full((1, 64, 64, 3), 200, np.uint8)
    assert not edges(picture).any()
    picture[:, 16:48, 16:48] = (200, 60, 200)
    found = edges(picture)[0]
    assert found.any(axis=0)[17:47].all()
    assert found.any(axis=1)[17:47].all()
    assert not found[20:44, 20:44].any()
    assert not found[:13].any()
    assert (found[32].sum(), found[:, 32].sum()) == (2, 2)


def test_edges_turn_with_the_picture(portraits):
    turned = np.rot90(portraits, axes=(1, 2)).copy()
    assert agreement(edges(turned), np.rot90(edges(portraits), axes=(1, 2))).min() > 0.95


def test_the_measure_tells_the_same_from_another_and_allows_two_pixels(portraits):
    lines = edges(portraits)
    assert agreement(lines, lines) == pytest.approx(1.0)
    assert agreement(np.roll(lines, 2, axis=2), lines).min() > 0.95
    assert agreement(np.roll(lines, 1, axis=0), lines).mean() < 0.7
    assert agreement(np.zeros_like(lines), lines).max() == 0
    assert edge_pictures(portraits).shape == portraits.shape


def test_pictures_follow_the_edges(pipeline, portraits):
    # Captions that leave the shapes open: full ones say so much that most edges follow from them.
    shown = [random_portrait(seed) for seed in seeds("evaluation", 4)]
    texts = [f"a person on a {portrait.background} background" for portrait in shown]
    lines, asked = edge_pictures(portraits), edges(portraits)
    along = draw_along(pipeline, texts, lines, STEPS, guidance=3.0, seed=0)
    without = draw_captions(load_miniature(), texts, STEPS, guidance=3.0, seed=0)
    assert agreement(edges(along), asked).mean() > agreement(edges(without), asked).mean() + 0.1
