"""python -m mmcache_demos.portraits.large.train: trains the text-to-image miniature of 128 x 128 pixels.

Run it again after it was stopped: every stage goes on from its last checkpoint.
"""

from pathlib import Path
from typing import Annotated

import typer

from mmcache_demos.portraits.large import text_to_image
from mmcache_demos.portraits.training import Recipe


def main(
    work: Annotated[Path, typer.Option(help="Folder for images and checkpoints.")] = Path("runs/large"),
    pictures: Annotated[int, typer.Option(min=64, help="Images to render.")] = 8_192,
    autoencoder_iterations: Annotated[int, typer.Option(min=1)] = 4_200,
    iterations: Annotated[int, typer.Option(min=1, help="Of U-Net and text encoder.")] = 1_700,
    begin: Annotated[
        Path | None, typer.Option(help="Folder of a pipeline of this size whose parts are trained on.")
    ] = None,
    decoder_only: Annotated[bool, typer.Option(help="Leave the latents as they are.")] = False,
    until: Annotated[str, typer.Option(help="Last stage: autoencoder or denoiser.")] = "denoiser",
) -> None:
    """Render portraits, train the autoencoder and the denoiser on them, and export the pipeline."""
    setup = text_to_image.Setup(
        work=work,
        pictures=pictures,
        autoencoder=Recipe(autoencoder_iterations, learning_rate=1.5e-3, warmup=50, ema=0.99),
        denoiser=Recipe(iterations, learning_rate=8e-4, warmup=50, fall=0.4, ema=0.995),
        begin=begin,
        decoder_only=decoder_only,
    )
    text_to_image.train_autoencoder(setup)
    if until == "autoencoder":
        return
    text_to_image.encode_images(setup)
    text_to_image.train_denoiser(setup)
    print(f"exported to {setup.out}")


if __name__ == "__main__":
    typer.run(main)
