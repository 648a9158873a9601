"""The transformer miniature: how it is trained, what it draws, and what caching does to it."""

import numpy as np
import pytest
import torch

import mmcache
from mmcache_demos import GUIDANCE_SCALE, SHIPPED, load_miniature, miniature
from mmcache_demos.portraits.attribute_accuracy import AVERAGED, as_asked, fresh_captions
from mmcache_demos.portraits.classifier import load_classifier
from mmcache_demos.portraits.evaluate import draw_captions
from mmcache_demos.portraits.fine_tuning import TrainingData, shipped_parts
from mmcache_demos.portraits.models import tokenize
from mmcache_demos.portraits.training import Recipe, train
from mmcache_demos.portraits.transformer.models import caption_mask, text_encoder, transformer
from mmcache_demos.portraits.transformer.train import Conditioned, MaskedReader, transformer_loss

MEGABYTE = 10**6
CAPTIONS = ["a person with long red hair and round glasses, on a yellow background", "a bald person", ""]
CALL = SHIPPED["transformer"].call


@pytest.fixture(scope="module")
def pipeline():
    pipeline = load_miniature("transformer")
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def sample(pipeline, steps=30, **call):
    return pipeline(
        CAPTIONS[0],
        num_inference_steps=steps,
        guidance_scale=GUIDANCE_SCALE,
        generator=torch.Generator().manual_seed(0),
        output_type="np",
        **{**CALL, **call},
    ).images


def test_it_is_pixart_with_its_own_transformer_and_text_encoder(pipeline):
    assert type(pipeline).__name__ == "PixArtAlphaPipeline"
    kinds = {type(part).__name__ for part in (pipeline.transformer, pipeline.text_encoder)}
    assert kinds == {"PixArtTransformer2DModel", "T5EncoderModel"}
    assert {pipeline.transformer.dtype, pipeline.vae.dtype, pipeline.text_encoder.dtype} == {torch.float32}
    weights = list(miniature("transformer").rglob("*.safetensors"))
    assert {path.parent.name for path in weights} == {"transformer", "text_encoder"}
    assert sum(path.stat().st_size for path in weights) <= 20 * MEGABYTE


def test_training_sees_captions_as_the_pipeline_does(pipeline):
    trained = Conditioned(pipeline.transformer, pipeline.text_encoder)
    ids = tokenize(pipeline.tokenizer, CAPTIONS)
    torch.manual_seed(0)
    noisy, times = torch.randn(3, 4, 16, 16), torch.tensor([3, 400, 999])
    words, mask, *_ = pipeline.encode_prompt(CAPTIONS, do_classifier_free_guidance=False, clean_caption=False)
    assert words.shape[1] == 120  # PixArt's usual length, of which training saw none of the padding
    with torch.no_grad():
        ours = trained(noisy, times, ids)
        theirs = pipeline.transformer(
            noisy, words, times, {"resolution": None, "aspect_ratio": None}, encoder_attention_mask=mask
        ).sample
    assert torch.equal(caption_mask(ids, pipeline.tokenizer.eos_token_id), mask[:, : ids.shape[1]])
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_a_new_text_encoder_tells_whose_colour_is_which(pipeline):
    """From the start: to one that sees a bag of words, both captions are the same but for two percent."""
    torch.manual_seed(0)
    reader = MaskedReader(text_encoder(pipeline.tokenizer))
    with torch.no_grad():
        one, other = reader.read(
            tokenize(pipeline.tokenizer, ["a red hat and a blue hoodie", "a blue hat and a red hoodie"])
        )
    assert (one - other).norm() > 0.1 * one.norm()


def test_it_starts_by_predicting_nothing_and_learns(tmp_path):
    base = shipped_parts("cpu")
    torch.manual_seed(0)
    trained = Conditioned(transformer(), text_encoder(base.tokenizer))
    ids = tokenize(base.tokenizer, CAPTIONS)
    with torch.no_grad():
        assert not trained(torch.randn(3, 4, 16, 16), torch.tensor([3, 400, 999]), ids).any()
    latents = torch.ones(2, 4, 16, 16)
    data = TrainingData([], np.empty(0), latents, ids[:2, None], ids[2])
    loss = transformer_loss(trained, base, data, "cpu", batch=6)
    torch.manual_seed(1)
    before = loss(0).item()
    recipe = Recipe(6, learning_rate=3e-3, warmup=1)
    train(trained, loss, recipe, tmp_path / "transformer.ckpt")
    torch.manual_seed(1)
    assert loss(0).item() < 0.7 * before


def test_it_draws_what_captions_name(pipeline):
    asked = fresh_captions(8)
    pixels = draw_captions(pipeline, [one.caption.text for one in asked], 12, GUIDANCE_SCALE, seed=0, **CALL)
    found = as_asked(load_classifier(), asked, pixels)
    right = [answer for one in found for field, answer in one.items() if field in AVERAGED]
    assert np.mean(right) >= 0.8  # at 12 steps; the card has the figures of 50


def test_cached_it_draws_nearly_the_same_with_half_the_work(pipeline):
    full = sample(pipeline, steps=18)
    with mmcache.accelerate(pipeline, interval=3) as session:
        cached = sample(pipeline, steps=18)
        report = session.report()
    assert report.denoisers[0].macs < 0.5 * report.denoisers[0].full_macs
    assert -10 * np.log10(np.square(full - cached).mean()) > 30
    assert np.array_equal(sample(pipeline, steps=18), full)
