"""The inpainting miniature: its edits and masks, the measure that judges it, and what it draws."""

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionInpaintPipeline

from mmcache_demos import load_miniature, miniature
from mmcache_demos.portraits.attributes import random_portrait
from mmcache_demos.portraits.classifier import load_classifier
from mmcache_demos.portraits.drawing import draw
from mmcache_demos.portraits.fine_tuning import shipped_parts
from mmcache_demos.portraits.inpainting.edits import EDITED, changed_pixels, editable, random_edit
from mmcache_demos.portraits.inpainting.evaluate import as_asked, cases, fill, kept, outside, overlay
from mmcache_demos.portraits.inpainting.masks import SHAPES, grown, random_masks, random_shapes
from mmcache_demos.portraits.inpainting.train import inpainting_unet, mask_channels

MEBIBYTE = 2**20
STEPS = 8


@pytest.fixture(scope="module")
def pipeline() -> StableDiffusionInpaintPipeline:
    return load_miniature("inpainting")


@pytest.fixture(scope="module")
def wanted():
    return cases(10)


@pytest.fixture(scope="module")
def drawn(pipeline, wanted) -> np.ndarray:
    return fill(pipeline, wanted, STEPS, guidance=3.0, seed=0)


def test_it_is_stable_diffusions_inpainting_with_only_the_unet_stored(pipeline):
    assert type(pipeline).__name__ == "StableDiffusionInpaintPipeline"
    assert pipeline.unet.config.in_channels == 9
    assert {pipeline.unet.dtype, pipeline.vae.dtype, pipeline.text_encoder.dtype} == {torch.float32}
    weights = list(miniature("inpainting").rglob("*.safetensors"))
    assert [path.parent.name for path in weights] == ["unet"]
    assert weights[0].stat().st_size <= 18 * MEBIBYTE


def test_before_training_the_new_channels_change_nothing():
    base = shipped_parts("cpu")
    torch.manual_seed(0)
    latents, prompts = torch.randn(2, 4, 16, 16), torch.randn(2, 40, 128)
    unet = inpainting_unet(base.unet).eval()
    with torch.no_grad():
        seen = torch.cat([latents, torch.randn(2, 5, 16, 16)], dim=1)
        expected = base.unet(latents, 500, prompts).sample
        assert torch.allclose(unet(seen, 500, prompts).sample, expected, atol=1e-5)


def test_training_masks_latents_as_the_pipeline_does(pipeline, wanted):
    masks = torch.stack([torch.from_numpy(case.mask) for case in wanted[:2]])
    pixels = torch.stack([torch.tensor(case.source).permute(2, 0, 1) for case in wanted[:2]]) / 127.5 - 1
    ours = mask_channels(shipped_parts("cpu"), pixels, masks)
    mask, kept_latents = pipeline.prepare_mask_latents(
        masks[:, None].float(),
        pixels * ~masks[:, None],
        2,
        128,
        128,
        torch.float32,
        torch.device("cpu"),
        torch.Generator().manual_seed(0),
        do_classifier_free_guidance=False,
    )
    assert torch.equal(ours[:, :1], mask)
    # The pipeline draws from the autoencoder's distribution, training takes its mean.
    assert (ours[:, 1:] - kept_latents).abs().mean() < 0.1


def test_an_edit_changes_one_attribute_and_only_below_its_region():
    for seed in range(4):
        portrait = random_portrait(seed)
        for field in editable(portrait):
            edit = random_edit(portrait, field, seed)
            assert getattr(edit.asked, field) != getattr(edit.source, field)
            changed = np.abs(draw(edit.source).astype(int) - draw(edit.asked)).max(axis=-1) > 16
            assert changed.any()
            assert not (changed & ~changed_pixels(edit)).any()


def test_masks_are_neither_empty_nor_outside_the_picture():
    torch.manual_seed(0)
    region = torch.zeros(128, 128, dtype=torch.bool)
    region[20:30, 20:30] = True
    masks = [shape() for shape in SHAPES for _ in range(20)]
    masks += list(random_masks(region.expand(40, -1, -1), random_shapes(20)))
    assert all(mask.shape == (128, 128) and mask.dtype == torch.bool for mask in masks)
    assert np.mean([mask.any().item() for mask in masks]) > 0.9
    assert grown(region[None], 2).sum() == 14 * 14


def test_the_measure_refuses_a_copy_and_accepts_the_edit(wanted):
    classifier = load_classifier()
    copies = np.stack([case.source for case in wanted])
    edited = np.stack([draw(case.edit.asked) for case in wanted])
    assert not any(answer for answers in as_asked(classifier, wanted, copies).values() for answer in answers)
    right = [answer for answers in as_asked(classifier, wanted, edited).values() for answer in answers]
    assert np.mean(right) > 0.9
    assert set(as_asked(classifier, wanted, copies)) == set(EDITED)


def test_the_measure_sees_a_change_outside_the_mask(wanted):
    sources = np.stack([case.source for case in wanted])
    assert outside(wanted, sources).error == 0
    inside = np.stack([np.where(case.mask[..., None], 255 - case.source, case.source) for case in wanted])
    assert outside(wanted, inside).error == 0
    assert outside(wanted, 255 - sources).error > 50
    others = np.roll(sources, 1, axis=0)
    assert kept(load_classifier(), wanted, others) < 0.6 < kept(load_classifier(), wanted, sources)


def test_it_fills_the_mask_and_keeps_the_rest(pipeline, wanted, drawn):
    assert outside(wanted, drawn).psnr > outside(wanted, np.roll(drawn, 1, axis=0)).psnr + 6
    assert outside(wanted, overlay(pipeline, wanted, drawn)).error == 0
    right = [answer for answers in as_asked(load_classifier(), wanted, drawn).values() for answer in answers]
    assert np.mean(right) >= 0.6  # at 8 steps; the card has the figures of a full run
