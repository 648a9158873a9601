"""The stages of training the text-to-image miniature of 128 x 128 pixels, from files and into files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from PIL import Image
from safetensors.torch import load_file, save_file

from mmcache_demos import GUIDANCE_SCALE
from mmcache_demos.portraits import autoencoder as small_training
from mmcache_demos.portraits import denoiser
from mmcache_demos.portraits.attributes import random_portrait
from mmcache_demos.portraits.captions import caption
from mmcache_demos.portraits.dataset import Pictures, pictures, seeds
from mmcache_demos.portraits.evaluate import contact_sheet, draw_captions
from mmcache_demos.portraits.fine_tuning import shipped_parts
from mmcache_demos.portraits.large import autoencoder, models
from mmcache_demos.portraits.models import save_pipeline, tokenize
from mmcache_demos.portraits.text_to_image import Conditioned
from mmcache_demos.portraits.training import Recipe, averaged_weights, train

HELD_OUT = 256  # images that only measure the autoencoder
MEASURED = 64  # of them, at every checkpoint
SHOWN = 8
SAMPLE_STEPS = 20


@dataclass(frozen=True)
class Setup:
    """Where to train, on how much, for how long, and from what.

    Attributes:
        begin: folder of a pipeline of 128 x 128 pixels whose parts are trained on; else the shipped ones are.
        decoder_only: leaves the latents as they are, and with them the denoiser that was trained on them.
    """

    work: Path
    pictures: int
    autoencoder: Recipe
    denoiser: Recipe
    begin: Path | None = None
    decoder_only: bool = False

    def training_images(self) -> Pictures:
        return pictures("train", self.pictures, self.work / "pictures", models.SIZE)

    def held_out_images(self) -> Pictures:
        return pictures("held-out", HELD_OUT, self.work / "pictures", models.SIZE)

    @property
    def autoencoder_checkpoint(self) -> Path:
        return self.work / "autoencoder.ckpt"

    @property
    def denoiser_checkpoint(self) -> Path:
        return self.work / "denoiser.ckpt"

    @property
    def latents(self) -> Path:
        return self.work / f"latents-{self.pictures}.safetensors"

    @property
    def out(self) -> Path:
        return self.work / "text-to-image"


def train_autoencoder(setup: Setup) -> None:
    """Trains the autoencoder into its checkpoint."""
    data, held_out = setup.training_images(), setup.held_out_images().pixels[:MEASURED]
    torch.manual_seed(setup.autoencoder.seed)
    small, vae = models.small_autoencoder(), begun_autoencoder(setup)
    vae.to(memory_format=torch.channels_last)  # type: ignore[call-arg]  # not in diffusers' types
    loss = autoencoder.autoencoder_loss(vae, small, data.pixels, setup.autoencoder.iterations)

    def report(averaged: AutoencoderKL, step: int) -> None:
        decibels = small_training.psnr(averaged, held_out)
        apart = autoencoder.distance(averaged, small, held_out)
        print(f"\nautoencoder, step {step}: {decibels:.2f} dB, latents {apart:.3f} apart", flush=True)
        shown = held_out[:SHOWN]
        drawn = small_training.reconstruct(averaged, shown)
        rows = [np.concatenate(row, axis=1) for row in (shown, drawn)]
        Image.fromarray(np.concatenate(rows)).save(setup.work / "autoencoder.png")

    train(vae, loss, setup.autoencoder, setup.autoencoder_checkpoint, report)


def begun_autoencoder(setup: Setup) -> AutoencoderKL:
    """The autoencoder as its training begins."""
    if setup.begin:
        vae = AutoencoderKL.from_pretrained(setup.begin, subfolder="vae")
    else:
        vae = models.autoencoder()
        models.begin_from(vae, models.small_autoencoder())
    for part in (vae.encoder, vae.quant_conv):
        part.requires_grad_(not setup.decoder_only)
    return vae


def trained_autoencoder(setup: Setup) -> AutoencoderKL:
    """The autoencoder with the averaged weights of its checkpoint, frozen."""
    vae = models.autoencoder()
    vae.load_state_dict(averaged_weights(setup.autoencoder_checkpoint))
    vae.requires_grad_(False).eval()
    vae.to(memory_format=torch.channels_last)  # type: ignore[call-arg]  # not in diffusers' types
    return vae


def encode_images(setup: Setup) -> None:
    """Encodes all images once, unless they are encoded already."""
    if setup.latents.exists():
        return
    latents = small_training.encode(trained_autoencoder(setup), setup.training_images().pixels)
    unfinished = setup.latents.with_suffix(".unfinished")
    save_file({"latents": latents.contiguous()}, unfinished)
    unfinished.replace(setup.latents)


def train_denoiser(setup: Setup) -> None:
    """Trains U-Net and text encoder from those of a pipeline, and exports it at every checkpoint."""
    vae, begun = trained_autoencoder(setup), shipped_parts("cpu", setup.begin)
    trained = Conditioned(begun.unet, begun.text_encoder).requires_grad_(True)
    begun.unet.register_to_config(_name_or_path="")  # a folder of this machine, which nobody else has
    loss = denoiser.denoiser_loss(
        trained.unet,
        trained.text_encoder,
        begun.scheduler,
        load_file(setup.latents)["latents"],
        denoiser.tokenized_captions(begun.tokenizer, setup.training_images().portraits),
        tokenize(begun.tokenizer, [""])[0],
        "cpu",
        models.place_weights,
    )

    def export(averaged: Conditioned, step: int) -> None:
        save_pipeline(setup.out, vae, averaged.unet, averaged.text_encoder, begun.tokenizer)
        show_samples(setup, step)

    train(trained, loss, setup.denoiser, setup.denoiser_checkpoint, export)


def show_samples(setup: Setup, step: int) -> None:
    """Generates a few images of held-out captions with the exported pipeline, into the work folder."""
    numbers = seeds("held-out", SHOWN)
    texts = [caption(random_portrait(number), number).text for number in numbers]
    pipeline = StableDiffusionPipeline.from_pretrained(setup.out)
    pixels = draw_captions(pipeline, texts, SAMPLE_STEPS, GUIDANCE_SCALE, seed=0)
    contact_sheet(pixels, columns=4, enlarge=1).save(setup.work / f"samples-{step:05}.png")
