"""python -m mmcache_demos.portraits.train: draws pictures, trains the text-to-image miniature and exports it.

Run it again after it was stopped: every stage goes on from its last checkpoint.
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from mmcache_demos.devices import Device, chosen_device
from mmcache_demos.portraits import text_to_image, workers
from mmcache_demos.portraits import training_options as options
from mmcache_demos.portraits.training import Recipe


def main(
    work: options.Work = Path("runs/portraits"),
    out: Annotated[Path | None, options.out("exported pipeline")] = None,
    pictures: Annotated[int, typer.Option(min=64, help="Pictures to draw.")] = 24_576,
    autoencoder_iterations: Annotated[int, typer.Option(min=1)] = 4_000,
    autoencoder_batch: Annotated[int, typer.Option(min=2, help="Images of a step.")] = 8,
    iterations: Annotated[int, typer.Option(min=1, help="Of U-Net and text encoder.")] = 5_000,
    batch: Annotated[int, typer.Option(min=1, help="Images of a step of U-Net and text encoder.")] = 16,
    begin: Annotated[
        Path | None, typer.Option(help="Folder of a pipeline to train on; its latents are kept.")
    ] = None,
    seed: int = 0,
    device: Device = None,
    processes: Annotated[int | None, typer.Option(min=1, help="Default: the cores, or 1 on a GPU.")] = None,
) -> None:
    """Draw portraits, train the text-to-image miniature on them, and export it."""
    device = chosen_device(device)
    # The batches of 8, 16 and 64 are shared out evenly up to 8 processes.
    processes = processes or (min(1 << ((os.cpu_count() or 1).bit_length() - 1), 8) if device == "cpu" else 1)
    setup = text_to_image.Setup(
        work=work,
        out=out or work / "text-to-image",
        pictures=pictures,
        device=device,
        autoencoder=Recipe(autoencoder_iterations, 1.5e-3, autoencoder_batch, ema=0.995, seed=seed),
        reader=Recipe(800, learning_rate=2e-3, batch=64, ema=0.99, seed=seed),
        denoiser=Recipe(iterations, 1e-3, batch, fall=0.4, ema=0.998, seed=seed),
        begin=begin,
    )
    setup.training_pictures()  # drawn here, once, and only read by the workers
    setup.held_out_pictures()
    workers.run(text_to_image.train_autoencoder, processes, setup)
    if not setup.latents.exists():
        workers.run(text_to_image.encode_pictures, processes, setup)
    workers.run(text_to_image.train_reader, processes, setup)
    workers.run(text_to_image.train_denoiser, processes, setup)
    print(f"exported to {setup.out}")


if __name__ == "__main__":
    typer.run(main)
