"""python -m mmcache_demos.portraits.large.fidelity: what the autoencoder of 128 x 128 pixels alone loses.

Fresh renders are encoded and decoded again; the attribute classifier names what is left of them.
"""

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from diffusers import AutoencoderKL

from mmcache_demos.portraits.autoencoder import psnr, reconstruct
from mmcache_demos.portraits.classifier import accuracies, load_classifier
from mmcache_demos.portraits.dataset import Pictures, pictures
from mmcache_demos.portraits.evaluate import contact_sheet
from mmcache_demos.portraits.large.models import SIZE


def main(
    model: Annotated[Path, typer.Argument(help="Folder of the pipeline, with the autoencoder in vae.")],
    work: Annotated[Path, typer.Option(help="Folder for the renders.")] = Path("runs/large"),
    count: Annotated[int, typer.Option(min=8, help="Renders.")] = 256,
    out: Annotated[Path | None, typer.Option(help="Write the figures here, as JSON.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write renders above reconstructions here.")] = None,
) -> None:
    """Reconstruct fresh renders and count what can still be seen in them."""
    vae = AutoencoderKL.from_pretrained(model, subfolder="vae").requires_grad_(False).eval()
    fresh = pictures("evaluation", count, work / "pictures", SIZE)
    left = Pictures(fresh.portraits, reconstruct(vae, fresh.pixels))
    classifier = load_classifier()
    figures = {
        "renders": count,
        "psnr": float(np.mean([psnr(vae, fresh.pixels[i : i + 16]) for i in range(0, count, 16)])),
        "named_on_renders": accuracies(classifier, fresh),
        "named_on_reconstructions": accuracies(classifier, left),
    }
    text = json.dumps(figures, indent=2)
    print(text)
    if out:
        out.write_text(text + "\n")
    if sheet:
        contact_sheet(np.concatenate([fresh.pixels[:8], left.pixels[:8]]), enlarge=1).save(sheet)


if __name__ == "__main__":
    typer.run(main)
