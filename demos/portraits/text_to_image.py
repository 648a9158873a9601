"""The stages of training the text-to-image miniature, each from files and into files of a work folder.

Every stage is called in all worker processes at once; see `workers`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import CLIPTextModel, CLIPTokenizer

from mmcache_demos.portraits import autoencoder, denoiser, models, workers
from mmcache_demos.portraits.attributes import random_portrait
from mmcache_demos.portraits.captions import caption
from mmcache_demos.portraits.dataset import Pictures, pictures, seeds
from mmcache_demos.portraits.fine_tuning import shipped_parts
from mmcache_demos.portraits.reading import Reader, reading_loss
from mmcache_demos.portraits.training import Recipe, averaged_weights, train

HELD_OUT = 256  # pictures that only measure the autoencoder


@dataclass(frozen=True)
class Setup:
    """Where to train, on how much, for how long, and where to put the result.

    Attributes:
        begin: folder of a pipeline whose denoiser and text encoder are trained on, and to whose latents the
            autoencoder's stay close; without it, all begins at random.
    """

    work: Path
    out: Path
    pictures: int
    device: str
    autoencoder: Recipe
    reader: Recipe
    denoiser: Recipe
    begin: Path | None = None

    def training_pictures(self) -> Pictures:
        return pictures("train", self.pictures, self.work / "pictures")

    def held_out_pictures(self) -> Pictures:
        return pictures("held-out", HELD_OUT, self.work / "pictures")

    @property
    def autoencoder_checkpoint(self) -> Path:
        return self.work / "autoencoder.ckpt"

    @property
    def reader_checkpoint(self) -> Path:
        return self.work / "reader.ckpt"

    @property
    def denoiser_checkpoint(self) -> Path:
        return self.work / "denoiser.ckpt"

    @property
    def trained_autoencoder(self) -> Path:
        return self.work / "autoencoder"

    @property
    def latents(self) -> Path:
        return self.work / "latents.safetensors"


def train_autoencoder(setup: Setup) -> None:
    """Trains the autoencoder into its checkpoint."""
    data, held_out = setup.training_pictures(), setup.held_out_pictures()
    torch.manual_seed(setup.autoencoder.seed)
    vae = models.autoencoder()
    nn.Module.to(vae, setup.device)
    vae.to(memory_format=torch.channels_last)  # type: ignore[call-arg]  # wrapped by diffusers
    anchor = shipped_parts(setup.device, setup.begin).vae if setup.begin else None
    loss = autoencoder.autoencoder_loss(vae, data.pixels, setup.autoencoder, setup.device, anchor)

    def report(averaged: AutoencoderKL, step: int) -> None:
        decibels = autoencoder.psnr(averaged, held_out.pixels)
        print(f"\nautoencoder, step {step}: {decibels:.1f} dB on held-out pictures")

    train(vae, loss, setup.autoencoder, setup.autoencoder_checkpoint, report)


def encode_pictures(setup: Setup) -> None:
    """Encodes all pictures once, shared out to the workers, and keeps them with their autoencoder."""
    vae = models.autoencoder()
    vae.load_state_dict(averaged_weights(setup.autoencoder_checkpoint))
    nn.Module.to(vae, setup.device).eval()
    share = np.array_split(setup.training_pictures().pixels, workers.count())[workers.rank()]
    raw = torch.cat(workers.gather(autoencoder.encode(vae, share)))
    if workers.rank() == 0:
        latents = autoencoder.standardize(vae.cpu(), raw)
        vae.save_pretrained(setup.trained_autoencoder)
        save_file({"latents": latents.contiguous()}, setup.latents)


def caption_tokenizer(setup: Setup) -> CLIPTokenizer:
    """The tokenizer to begin with, else one learned from captions of the first training images."""
    if setup.begin:
        return CLIPTokenizer.from_pretrained(setup.begin, subfolder="tokenizer")
    numbers = seeds("train", min(setup.pictures, 8192))
    return models.tokenizer(caption(random_portrait(number), number).text for number in numbers)


def train_reader(setup: Setup) -> None:
    """Gives the text encoder its start, unless training begins with one."""
    if setup.begin:
        return
    tokens = caption_tokenizer(setup)
    torch.manual_seed(setup.reader.seed)
    reader = Reader(models.text_encoder(tokens)).to(setup.device)
    loss = reading_loss(reader, tokens, setup.pictures, setup.device, setup.reader.batch)
    train(reader, loss, setup.reader, setup.reader_checkpoint)


class Conditioned(nn.Module):
    """A denoiser and the text encoder that is trained with it."""

    def __init__(self, unet: UNet2DConditionModel, text_encoder: CLIPTextModel) -> None:
        super().__init__()
        self.unet = unet
        self.text_encoder = text_encoder


def begun_denoiser(setup: Setup, tokens: CLIPTokenizer) -> Conditioned:
    """U-Net and text encoder as their training begins."""
    if setup.begin:
        begun = shipped_parts("cpu", setup.begin)
        begun.unet.register_to_config(_name_or_path="")  # a folder of this machine, which nobody else has
        return Conditioned(begun.unet, begun.text_encoder).requires_grad_(True)
    text_encoder = models.text_encoder(tokens)
    Reader(text_encoder).load_state_dict(averaged_weights(setup.reader_checkpoint))
    return Conditioned(models.unet(), text_encoder)


def train_denoiser(setup: Setup) -> None:
    """Trains U-Net and text encoder together, and exports the pipeline at every checkpoint."""
    portraits = setup.training_pictures().portraits
    vae = AutoencoderKL.from_pretrained(setup.trained_autoencoder)
    tokens = caption_tokenizer(setup)
    torch.manual_seed(setup.denoiser.seed)
    trained = begun_denoiser(setup, tokens).to(setup.device)
    trained.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs
    loss = denoiser.denoiser_loss(
        trained.unet,
        trained.text_encoder,
        models.noise_scheduler(),
        load_file(setup.latents)["latents"],
        denoiser.tokenized_captions(tokens, portraits),
        models.tokenize(tokens, [""])[0],
        setup.device,
        setup.denoiser.batch,
    )

    def export(averaged: Conditioned, step: int) -> None:
        models.save_pipeline(setup.out, vae, averaged.unet, averaged.text_encoder, tokens)

    train(trained, loss, setup.denoiser, setup.denoiser_checkpoint, export)
