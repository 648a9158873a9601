"""python -m mmcache_demos.portraits.transformer.train: trains a diffusion transformer on the portraits.

Pictures, latents, noise, loss and training loop are those of the U-Net; the autoencoder and the tokenizer are
the shipped ones. Run it again after it was stopped: every stage goes on from its last checkpoint.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import torch
import typer
from diffusers import PixArtTransformer2DModel
from torch import nn
from transformers import PreTrainedModel, T5EncoderModel

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
    trained: Conditioned, base: Shipped, data: TrainingData, device: str
) -> Callable[[int], torch.Tensor]:
    """The loss of a step, for `training.train`."""

    def predict(chosen: torch.Tensor, noisy: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        return trained(noisy, times, random_captions(data.captions, data.no_caption, chosen).to(device))

    return velocity_loss(predict, base.scheduler, data.latents, device)


def learn(reading: Recipe, drawing: Recipe, pictures: int, work: Path, out: Path, device: str) -> None:
    """Trains, in all worker processes at once, and exports at every checkpoint."""
    base = shipped_parts(device)
    data = training_data(base, pictures, work)
    torch.manual_seed(reading.seed)
    text_encoder = models.text_encoder(base.tokenizer)
    reader = MaskedReader(text_encoder).to(device)
    read = work / "transformer-reader.ckpt"
    train(reader, reading_loss(reader, base.tokenizer, pictures, device), reading, read)
    workers.gather(torch.zeros(1))  # until the checkpoint is written
    reader.load_state_dict(averaged_weights(read))
    torch.manual_seed(drawing.seed)
    trained = Conditioned(models.transformer(), text_encoder).to(device)

    def export(averaged: Conditioned, step: int) -> None:
        models.save_transformer_parts(out, averaged.transformer, averaged.text_encoder)

    loss = transformer_loss(trained, base, data, device)
    train(trained, loss, drawing, work / "transformer.ckpt", export)


def main(
    work: Annotated[Path, typer.Option(help="Folder for pictures and checkpoints.")] = Path("runs/portraits"),
    out: Annotated[
        Path | None, typer.Option(help="Folder of the exported parts; default: in the work folder.")
    ] = None,
    pictures: Annotated[int, typer.Option(min=64, help="Pictures to draw.")] = 24_576,
    iterations: Annotated[int, typer.Option(min=1, help="Of transformer and text encoder.")] = 12_000,
    learning_rate: float = 1e-3,
    seed: int = 0,
    device: Annotated[str | None, typer.Option(help="Default: the GPU if there is one.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="A divisor of 16.")] = 1,
) -> None:
    """Train a diffusion transformer and its text encoder on the portraits, and export them."""
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    out = out or work / "transformer"
    training_data(shipped_parts(device), pictures, work)  # drawn here, once, and only read by the workers
    reading = Recipe(800, learning_rate=2e-3, ema=0.99, seed=seed)
    drawing = Recipe(iterations, learning_rate, warmup=300, fall=0.3, ema=0.998, seed=seed)
    workers.run(learn, processes, reading, drawing, pictures, work, out, device)
    print(f"exported to {out}")


if __name__ == "__main__":
    typer.run(main)
