"""python -m mmcache_demos.portraits.decoder: trains the decoder of a pipeline's autoencoder on.

The encoder stays, and with it the latents: every denoiser that was trained on them goes on as it is.
Run it again after it was stopped: it goes on from its last checkpoint.
"""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from diffusers import AutoencoderKL
from torch import nn

from mmcache_demos.devices import Device, chosen_device
from mmcache_demos.portraits import autoencoder
from mmcache_demos.portraits import training_options as options
from mmcache_demos.portraits.dataset import pictures
from mmcache_demos.portraits.fine_tuning import scaled_latents, shipped_parts
from mmcache_demos.portraits.places import face_weights
from mmcache_demos.portraits.text_to_image import HELD_OUT
from mmcache_demos.portraits.training import Recipe, train

NOISE = 0.05  # at most, added to the latents: a denoiser's small errors do not show, and edges stay sharp
SQUARES = 4.0  # weight of squared errors beside absolute ones: they are what PSNR counts


class Decoder(nn.Module):
    """What turns latents (N, 4, 16, 16) into images (N, 3, 128, 128) in [-1, 1]."""

    def __init__(self, vae: AutoencoderKL) -> None:
        super().__init__()
        self.post_quant_conv = vae.get_submodule("post_quant_conv")
        self.decoder = vae.decoder

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.post_quant_conv(latents))


def decoder_loss(
    decoder: Decoder, latents: torch.Tensor, pixels: np.ndarray, device: str, batch: int
) -> Callable[[int], torch.Tensor]:
    """The loss of a step, for `training.train`.

    Args:
        decoder: trained.
        latents: of the images, unscaled, (N, 4, 16, 16).
        pixels: the images, uint8 (N, 128, 128, 3).
        device: where the decoder is.
        batch: images of a step.
    """
    places = (face_weights(torch.Size(pixels.shape[1:3])).to(device) + 1) / 2

    def loss(step: int) -> torch.Tensor:
        chosen = torch.randint(len(pixels), (batch,)).sort().values
        clean = latents[chosen].to(device)
        noisy = clean + NOISE * torch.rand(batch, 1, 1, 1, device=device) * torch.randn_like(clean)
        wanted = autoencoder.to_tensor(pixels[chosen.numpy()], device)
        drawn = decoder(noisy.contiguous(memory_format=torch.channels_last)).float()
        return autoencoder.reconstruction_loss(drawn, wanted, places, squares=SQUARES)

    return loss


def main(
    work: options.Work = Path("runs/portraits"),
    out: Annotated[Path | None, options.out("autoencoder")] = None,
    base: options.Base = None,
    images: Annotated[int, typer.Option("--pictures", min=64, help="Images to render.")] = 49_152,
    iterations: Annotated[int, typer.Option(min=1, help="Of the decoder.")] = 1_400,
    batch: options.Batch = 64,
    learning_rate: float = 6e-4,
    seed: int = 0,
    device: Device = None,
) -> None:
    """Train the decoder of a pipeline's autoencoder on, and export the autoencoder."""
    device, out = chosen_device(device), out or work / "vae"
    vae = shipped_parts(device, base).vae
    data = pictures("train", images, work / "pictures")
    held_out = pictures("held-out", HELD_OUT, work / "pictures").pixels
    latents = scaled_latents(vae, data.pixels, work) / vae.config["scaling_factor"]
    decoder = Decoder(vae).requires_grad_(True)
    decoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs

    def export(averaged: Decoder, step: int) -> None:
        drawing = copy.deepcopy(vae)
        for name, module in averaged.named_children():
            drawing.set_submodule(name, module)
        print(f"\ndecoder, step {step}: {autoencoder.psnr(drawing, held_out):.1f} dB on held-out images")
        drawing.register_to_config(_name_or_path="")  # a folder of this machine, which nobody else has
        copy.deepcopy(drawing).half().save_pretrained(out, safe_serialization=True)

    loss = decoder_loss(decoder, latents, data.pixels, device, batch)
    recipe = Recipe(iterations, learning_rate, batch, warmup=40, fall=0.5, ema=0.999, seed=seed)
    train(decoder, loss, recipe, work / "decoder.ckpt", export)
    print(f"exported to {out}")


if __name__ == "__main__":
    typer.run(main)
