"""The portraits of 128 x 128 pixels and the autoencoder for them."""

import numpy as np
import torch
from diffusers import StableDiffusionPipeline

from mmcache_demos import GUIDANCE_SCALE, LARGE_MINIATURES
from mmcache_demos.portraits.attributes import random_portrait
from mmcache_demos.portraits.classifier import load_classifier
from mmcache_demos.portraits.dataset import seeds
from mmcache_demos.portraits.drawing import draw
from mmcache_demos.portraits.large import autoencoder, models, text_to_image
from mmcache_demos.portraits.training import Recipe


def test_large_latents_have_the_shape_of_the_small_ones():
    small, large = models.small_autoencoder(), models.autoencoder()
    images = torch.zeros(1, 3, models.SIZE, models.SIZE)
    with torch.no_grad():
        latents = large.encode(images).latent_dist.mean
        assert latents.shape == small.encode(images[..., ::2, ::2]).latent_dist.mean.shape
        assert large.decode(latents).sample.shape == images.shape


def test_the_large_autoencoder_begins_with_what_fits_of_the_small_one():
    small, large = models.small_autoencoder(), models.autoencoder()
    models.begin_from(large, small)
    theirs, ours = small.state_dict(), large.state_dict()
    for name, moved in {
        "encoder.down_blocks.2.resnets.0.conv1.weight": "encoder.down_blocks.3.resnets.0.conv1.weight",
        "decoder.up_blocks.0.resnets.0.conv1.weight": "decoder.up_blocks.0.resnets.0.conv1.weight",
        "post_quant_conv.weight": "post_quant_conv.weight",
    }.items():
        assert torch.equal(theirs[name], ours[moved])


def test_the_autoencoders_loss_is_finite_and_teaches_on_parts_and_whole_images():
    pixels = np.stack([draw(random_portrait(seed), models.SIZE) for seed in range(8)])
    model = models.autoencoder()
    loss = autoencoder.autoencoder_loss(model, models.small_autoencoder(), pixels, iterations=10)
    for step in (0, 9):
        model.zero_grad()
        value = loss(step)
        value.backward()
        assert value.isfinite()
        assert all(weight.grad is not None for weight in model.decoder.parameters())


def test_places_of_eyes_and_mouth_count_most():
    weights = models.place_weights(torch.Size((16, 16)))
    assert torch.isclose(weights.mean(), torch.tensor(1.0))
    assert weights[9, 7] == weights.max() > weights[11, 7] > weights[0, 0]


def test_classifier_names_large_renders_as_well_as_small_ones():
    portraits = [random_portrait(seed) for seed in seeds("evaluation", 48)]
    seen = load_classifier().name(np.stack([draw(portrait, models.SIZE) for portrait in portraits]))
    for field in ("glasses", "expression", "background"):
        right = [
            answer[field] == getattr(portrait, field)
            for portrait, answer in zip(portraits, seen, strict=True)
        ]
        assert np.mean(right) > 0.95


def test_training_the_decoder_only_leaves_the_latents_as_they_are(tmp_path):
    recipe = Recipe(iterations=1, learning_rate=0.01)
    setup = text_to_image.Setup(tmp_path, 8, recipe, recipe, decoder_only=True)
    vae = text_to_image.begun_autoencoder(setup)
    trained = {name.split(".")[0] for name, weight in vae.named_parameters() if weight.requires_grad}
    assert trained == {"decoder", "post_quant_conv"}


def test_the_large_miniature_generates_the_background_it_is_asked_for():
    pipeline = StableDiffusionPipeline.from_pretrained(LARGE_MINIATURES / "text-to-image")
    pipeline.set_progress_bar_config(disable=True)
    images = pipeline(
        [f"a person with a hat on a {color} background" for color in ("blue", "yellow")],
        num_inference_steps=12,
        guidance_scale=GUIDANCE_SCALE,
        generator=torch.Generator().manual_seed(0),
    ).images
    assert {image.size for image in images} == {(models.SIZE, models.SIZE)}
    seen = load_classifier().name(np.stack([np.asarray(image) for image in images]))
    assert [answer["background"] for answer in seen] == ["blue", "yellow"]
