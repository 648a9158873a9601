"""python -m mmcache_demos.portraits.transformer.train: trains a diffusion transformer on the portraits.

Pictures, latents, noise, loss and training loop are those of the U-Net; the autoencoder and the tokenizer are
the shipped ones. Run it again after it was stopped: every stage goes on from its last checkpoint.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import typer
from diffusers import PixArtTransformer2DModel
from torch import nn
from transformers import PreTrainedModel, T5EncoderModel

from mmcache_demos.devices import Device, chosen_device
from mmcache_demos.portraits import training_options as options
from mmcache_demos.portraits import workers
from mmcache_demos.portraits.denoiser import random_captions, velocity_loss
from mmcache_demos.portraits.fine_tuning import Shipped, TrainingData, shipped_parts, training_data
from mmcache_demos.portraits.reading import Reader, reading_loss
from mmcache_demos.portraits.training import Recipe, averaged_weights, train
from mmcache_demos.portraits.transformer import models


def mask_for(text_encoder: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
    """1 up to the token that ends a caption, see `models.caption_mask`."""
    end = text_encoder.config.eos_token_id
    assert isinstance(end, int)
    return models.caption_mask(ids, end)


class MaskedReader(Reader):
    """Reads captions of which nothing behind their end is seen."""

    def read(self, ids: torch.Tensor) -> torch.Tensor:
        """What a caption says, (B, width): the mean over its tokens."""
        mask = mask_for(self.text_encoder, ids)
        words = self.text_encoder(ids, attention_mask=mask).last_hidden_state
        return (words * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)


class Conditioned(nn.Module):
    """A denoiser and the text encoder that is trained with it."""

    def __init__(self, transformer: PixArtTransformer2DModel, text_encoder: T5EncoderModel) -> None:
        super().__init__()
        self.transformer = transformer
        self.text_encoder = text_encoder

    def forward(self, noisy: torch.Tensor, times: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        """Velocities (B, 4, 16, 16) from noisy latents, timesteps (B,) and token ids (B, L)."""
        mask = mask_for(self.text_encoder, ids)
        longest = int(mask.sum(dim=1).max())
        ids, mask = ids[:, :longest], mask[:, :longest]
        words = self.text_encoder(ids, attention_mask=mask).last_hidden_state
        return self.transformer(
            noisy,
            encoder_hidden_states=words,
            timestep=times,
            added_cond_kwargs=models.NO_SIZES,
            encoder_attention_mask=mask,
        ).sample


def transformer_loss(
    trained: Conditioned, base: Shipped, data: TrainingData, device: str, batch: int
) -> Callable[[int], torch.Tensor]:
    """The loss of a step, for `training.train`."""

    def predict(chosen: torch.Tensor, noisy: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        return trained(noisy, times, random_captions(data.captions, data.no_caption, chosen).to(device))

    return velocity_loss(predict, base.scheduler, data.latents, device, batch)


@dataclass(frozen=True)
class Setup:
    """Where to train, on how much, for how long, and where to put the result.

    Attributes:
        base: folder of the text-to-image pipeline that lends autoencoder and tokenizer; else the shipped one.
        begin: folder of a transformer and its text encoder that are trained on; else they begin at random.
        read_anew: only the transformer is taken from there; the text encoder begins at random.
    """

    work: Path
    out: Path
    pictures: int
    device: str
    reader: Recipe
    denoiser: Recipe
    base: Path | None
    begin: Path | None
    read_anew: bool


def learn(setup: Setup) -> None:
    """Trains, in all worker processes at once, and exports at every checkpoint."""
    base = shipped_parts(setup.device, setup.base)
    data = training_data(base, setup.pictures, setup.work)
    trained = begun(setup, base)

    def export(averaged: Conditioned, step: int) -> None:
        models.save_transformer_parts(setup.out, averaged.transformer, averaged.text_encoder)

    loss = transformer_loss(trained, base, data, setup.device, setup.denoiser.batch)
    train(trained, loss, setup.denoiser, setup.work / "transformer.ckpt", export)


def begun(setup: Setup, base: Shipped) -> Conditioned:
    """Transformer and text encoder as their training begins."""
    if setup.begin and not setup.read_anew:
        text = T5EncoderModel.from_pretrained(setup.begin, subfolder="text_encoder").float()
    else:
        text = taught_text_encoder(setup, base)
    torch.manual_seed(setup.denoiser.seed)
    if setup.begin:
        transformer = PixArtTransformer2DModel.from_pretrained(setup.begin, subfolder="transformer")
        transformer.register_to_config(_name_or_path="")  # a folder of this machine, which nobody else has
    else:
        transformer = models.transformer()
    return Conditioned(transformer, text).to(setup.device)


def taught_text_encoder(setup: Setup, base: Shipped) -> T5EncoderModel:
    """A text encoder that has learned to read captions from a random start."""
    torch.manual_seed(setup.reader.seed)
    text = models.text_encoder(base.tokenizer)
    reader = MaskedReader(text).to(setup.device)
    read = setup.work / "transformer-reader.ckpt"
    loss = reading_loss(reader, base.tokenizer, setup.pictures, setup.device, setup.reader.batch)
    train(reader, loss, setup.reader, read)
    workers.gather(torch.zeros(1))  # until the checkpoint is written
    reader.load_state_dict(averaged_weights(read))
    return text


def main(
    work: options.Work = Path("runs/portraits"),
    out: Annotated[Path | None, options.out("exported parts")] = None,
    base: options.Base = None,
    begin: Annotated[
        Path | None, typer.Option(help="Folder of a transformer and its text encoder to train on.")
    ] = None,
    read_anew: Annotated[
        bool, typer.Option("--read-anew", help="With --begin: the text encoder begins at random.")
    ] = False,
    pictures: options.Pictures = 32_768,
    iterations: Annotated[int, typer.Option(min=1, help="Of transformer and text encoder.")] = 12_000,
    batch: options.Batch = 16,
    learning_rate: float = 1e-3,
    seed: int = 0,
    device: Device = None,
    processes: options.Processes = 1,
) -> None:
    """Train a diffusion transformer and its text encoder on the portraits, and export them."""
    device = chosen_device(device)
    out = out or work / "transformer"
    training_data(shipped_parts(device, base), pictures, work)  # once, here, and only read by the workers
    reader = Recipe(1_200, learning_rate=2e-3, batch=64, ema=0.99, seed=seed)
    denoiser = Recipe(iterations, learning_rate, batch, warmup=300, fall=0.3, ema=0.998, seed=seed)
    setup = Setup(work, out, pictures, device, reader, denoiser, base, begin, read_anew)
    workers.run(learn, processes, setup)
    print(f"exported to {out}")


if __name__ == "__main__":
    typer.run(main)
