"""The portraits, the programs that train on them, and the miniature that came out."""

import json

import numpy as np
import pytest
import torch
import typer
from diffusers import AutoencoderKL, StableDiffusionPipeline
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from mmcache_demos import MINIATURES, miniature
from mmcache_demos.portraits import front_plot
from mmcache_demos.portraits.attributes import VALUES, random_portrait
from mmcache_demos.portraits.autoencoder import anchored, autoencoder_loss, encode, psnr, standardize
from mmcache_demos.portraits.captions import caption
from mmcache_demos.portraits.classifier import load_classifier, shown
from mmcache_demos.portraits.dataset import Pictures, seeds
from mmcache_demos.portraits.decoder import Decoder, decoder_loss
from mmcache_demos.portraits.drawing import draw
from mmcache_demos.portraits.models import autoencoder, tokenizer
from mmcache_demos.portraits.places import eye_and_mouth_weights, face_weights
from mmcache_demos.portraits.set_distance import SUBSET, distances
from mmcache_demos.portraits.training import Recipe, train

MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def fresh() -> Pictures:
    """Renders that neither the miniature nor the classifier was trained on."""
    portraits = [random_portrait(seed) for seed in seeds("evaluation", 96)]
    return Pictures(portraits, np.stack([draw(portrait) for portrait in portraits]))


@pytest.fixture(scope="module")
def pipeline() -> StableDiffusionPipeline:
    pipeline = StableDiffusionPipeline.from_pretrained(miniature())
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def test_same_seed_same_portrait_picture_and_caption():
    first, second = random_portrait(7), random_portrait(7)
    assert first == second
    assert caption(first, 3) == caption(second, 3)
    assert np.array_equal(draw(first), draw(second))
    assert random_portrait(8) != first


def test_captions_name_only_what_is_drawn():
    for seed in seeds("evaluation", 300):
        portrait = random_portrait(seed)
        text, named = caption(portrait, seed).text, caption(portrait, seed).named
        assert text.startswith(("a p", "on "))
        assert named <= VALUES.keys()
        assert all(shown(portrait, field) for field in named)
        if "background" in named:
            assert f"{portrait.background} background" in text
        if "clothing_color" in named:
            assert portrait.clothing_color in text


def test_classifier_sees_what_captions_name(fresh):
    right = []
    for portrait, seed, seen in zip(
        fresh.portraits, seeds("evaluation", 96), load_classifier().name(fresh.pixels), strict=True
    ):
        right += [seen[field] == getattr(portrait, field) for field in caption(portrait, seed).named]
    assert np.mean(right) > 0.97


def test_any_text_can_be_tokenized():
    tokens = tokenizer(caption(random_portrait(seed), seed).text for seed in range(300))
    for text in ("", "a person with a hat", "日本の wizard, Élan & 100% ☃", "hat " * 100):
        ids = tokens(text, truncation=True).input_ids
        assert 2 <= len(ids) <= tokens.model_max_length
        assert ids[0] == tokens.bos_token_id
        assert ids[-1] == tokens.eos_token_id
        assert tokens.eos_token_id not in ids[1:-1]


def test_standardizing_latents_changes_no_picture():
    torch.manual_seed(0)
    model, pictures = autoencoder().eval(), torch.rand(4, 3, 128, 128) * 2 - 1
    with torch.no_grad():
        raw = model.encode(pictures).latent_dist
        before = model.decode(raw.mean).sample
        expected = standardize(model, raw.mean)
        after = model.encode(pictures).latent_dist
        assert torch.allclose(after.mean, expected, atol=1e-4)
        assert torch.allclose(after.mean.std(dim=(0, 2, 3)), torch.ones(4), atol=1e-3)
        assert torch.allclose(model.decode(after.mean).sample, before, atol=1e-4)


def test_an_image_is_encoded_the_same_each_time():
    vae = AutoencoderKL.from_pretrained(miniature(), subfolder="vae")
    with torch.no_grad():
        latents = vae.encode(torch.rand(1, 3, 128, 128) * 2 - 1).latent_dist
    assert latents.std.max() < 1e-3


def test_the_autoencoders_loss_teaches_all_of_it_on_parts_and_on_whole_images():
    pixels = np.stack([draw(random_portrait(seed)) for seed in range(4)])
    model, anchor = autoencoder(), autoencoder().requires_grad_(False)
    recipe = Recipe(iterations=10, learning_rate=1e-3, batch=2)
    for step in (0, 9):
        model.zero_grad()
        value = autoencoder_loss(model, pixels, recipe, "cpu", anchor)(step)
        value.backward()
        assert value.isfinite()
        untaught = {name for name, weight in model.named_parameters() if weight.grad is None}
        assert not untaught


def test_a_decoder_is_trained_on_and_the_latents_stay():
    pixels = np.stack([draw(random_portrait(seed)) for seed in range(4)])
    torch.manual_seed(0)
    vae = autoencoder().requires_grad_(False)
    latents = encode(vae, pixels)
    decoder = Decoder(vae).requires_grad_(True)
    optimizer = torch.optim.AdamW(decoder.parameters(), lr=1e-3)
    loss = decoder_loss(decoder, latents, pixels, "cpu", batch=2)
    before = psnr(vae, pixels)
    for step in range(6):
        optimizer.zero_grad()
        loss(step).backward()
        optimizer.step()
    assert psnr(vae, pixels) > before + 1  # the decoder is still the autoencoder's own
    assert torch.equal(encode(vae, pixels), latents)


def test_an_anchor_of_smaller_images_is_shown_smaller_ones():
    small = AutoencoderKL(
        norm_num_groups=8,
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    )
    images = torch.rand(1, 3, 128, 128)
    with torch.no_grad():
        there = small.encode(torch.nn.functional.avg_pool2d(images, 4)).latent_dist.mean
        assert anchored(small, there / small.config["scaling_factor"] ** -1, images) < 1e-9
        assert anchored(small, there + 1, images) > 0.1


def test_places_of_eyes_and_mouth_count_most():
    weights = eye_and_mouth_weights(torch.Size((16, 16)))
    assert torch.isclose(weights.mean(), torch.tensor(1.0))
    assert weights[9, 7] == weights.max() > weights[11, 7] > weights[0, 0]
    assert torch.isclose(face_weights(torch.Size((128, 128))).mean(), torch.tensor(1.0))


def test_sets_of_the_same_portraits_are_closer_than_of_others(fresh):
    """Blurred images are farther from renders than other renders are."""
    many = np.tile(fresh.pixels, (6, 1, 1, 1))[:SUBSET]
    blurred = np.stack([np.asarray(Image.fromarray(one).resize((8, 8)).resize((128, 128))) for one in many])
    near, far = distances(many, many), distances(blurred, many)
    assert abs(near.frechet) < 1e-2 < 1 < far.frechet
    assert near.kernel < far.kernel
    with pytest.raises(ValueError, match="500"):
        distances(fresh.pixels, many)


def test_a_stopped_and_resumed_training_ends_with_the_same_weights(tmp_path):
    recipe = Recipe(iterations=8, learning_rate=0.01, warmup=2, checkpoint_seconds=0)

    def run(name: str, stop: int | None, start_seed: int) -> list[torch.Tensor]:
        torch.manual_seed(start_seed)
        model = nn.Linear(4, 4)

        def loss(step: int) -> torch.Tensor:
            if step == stop:
                raise KeyboardInterrupt
            return model(torch.randn(16, 4)).square().mean()

        averaged = train(model, loss, recipe, tmp_path / name)
        return [*model.parameters(), *averaged.parameters()]

    uninterrupted = run("once.ckpt", None, start_seed=0)
    for stop, start_seed in ((3, 0), (5, 1)):
        with pytest.raises(KeyboardInterrupt):
            run("stopped.ckpt", stop, start_seed)
    resumed = run("stopped.ckpt", None, start_seed=2)
    assert all(torch.equal(a, b) for a, b in zip(uninterrupted, resumed, strict=True))


def test_a_recipe_starts_slowly_and_ends_at_zero():
    recipe = Recipe(iterations=1000, learning_rate=1.0, warmup=100, fall=0.5)
    assert recipe.rate(0) == pytest.approx(0.01)
    assert recipe.rate(300) == 1.0
    assert recipe.rate(999) == pytest.approx(0.002)


def test_the_miniature_is_small_safe_and_of_stable_diffusions_shape(pipeline):
    files = [path for path in miniature().rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 25 * MEBIBYTE
    assert not [path for path in files if path.suffix in {".bin", ".pt", ".pth", ".ckpt", ".pkl"}]
    unet = pipeline.unet
    skips = 1 + sum(len(block.resnets) + bool(block.downsamplers) for block in unet.down_blocks)
    assert skips >= 9
    assert type(pipeline).__name__ == "StableDiffusionPipeline"
    assert {unet.dtype, pipeline.vae.dtype, pipeline.text_encoder.dtype} == {torch.float32}


def test_the_miniature_draws_the_background_it_is_asked_for(pipeline):
    drawn = pipeline(
        [f"a person with a hat on a {color} background" for color in ("blue", "yellow")],
        num_inference_steps=12,
        guidance_scale=3.0,
        generator=torch.Generator().manual_seed(0),
    ).images
    seen = load_classifier().name(np.stack([np.asarray(image) for image in drawn]))
    assert [answer["background"] for answer in seen] == ["blue", "yellow"]


def test_an_unknown_miniature_is_refused_with_the_known_names():
    with pytest.raises(ValueError, match="text-to-image"):
        miniature("portrait")
    assert miniature().parent == MINIATURES


def test_a_measured_front_is_drawn(tmp_path):
    way = {"macs": 2.4, "psnr": {"value": 60.7, "margin": 3.0, "images": 32}, "median": 63.1, "worst": 34.1}
    lines = [{"way": "`balanced`", **way}, {"way": "no cache, 20 steps", **way}]
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.json").write_text(json.dumps(lines))
    files = [str(tmp_path / f"{name}.json") for name in ("a", "b", "c")]
    app = typer.Typer()
    app.command()(front_plot.main)
    out = tmp_path / "plots" / "front.png"
    assert CliRunner().invoke(app, [*files, "--out", str(out)]).exit_code == 0
    assert Image.open(out).size[0] > 1000
    refused = CliRunner().invoke(app, [*files, "--title", "only one", "--out", str(tmp_path / "no.png")])
    assert refused.exit_code == 2
    assert not (tmp_path / "no.png").exists()
