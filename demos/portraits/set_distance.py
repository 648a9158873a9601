"""python -m mmcache_demos.portraits.set_distance: how far generated portraits, as a set, are from renders.

Frechet distance (Heusel et al., arXiv 1706.08500) and kernel distance (Binkowski et al., arXiv 1801.01401) in
the features of the attribute classifier instead of Inception's: 128 numbers of the layer before its answers.
Beside it stands the distance between two sets of renders, which is as small as it can be for so many images.
"""

import json
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from mmcache_demos import GUIDANCE_SCALE, SHIPPED, WHOLE, load_miniature
from mmcache_demos.portraits.captions import caption
from mmcache_demos.portraits.classifier import SIGHT, AttributeClassifier, load_classifier
from mmcache_demos.portraits.dataset import pictures, seeds
from mmcache_demos.portraits.evaluate import draw_captions

BATCH = 200
SUBSET = 500  # images of each of the kernel distance's subsets


class ClassifierFeatures(nn.Module):
    """Images, uint8 (N, 3, H, W), to the classifier's features (N, 128)."""

    num_features = 128

    def __init__(self, classifier: AttributeClassifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        seen = nn.functional.adaptive_avg_pool2d(images.float() / 127.5 - 1, SIGHT)
        return self.classifier.features(seen)


class Distances(NamedTuple):
    """Two sets' distances; the kernel distance is multiplied by 1,000, as is usual."""

    frechet: float
    kernel: float


def distances(images: np.ndarray, real: np.ndarray) -> Distances:
    """How far two sets of images, uint8 (N, 128, 128, 3), are from each other.

    Raises:
        ValueError: a set has fewer images than a subset of the kernel distance.
    """
    if min(len(images), len(real)) < SUBSET:
        raise ValueError(f"got {len(images)} and {len(real)} images; wanted at least {SUBSET} of each")
    features = ClassifierFeatures(load_classifier())
    found: list[float] = []
    for metric in (
        FrechetInceptionDistance(feature=features),
        KernelInceptionDistance(feature=features, subset_size=SUBSET),
    ):
        measure: Any = metric
        for pixels, is_real in ((images, False), (real, True)):
            for start in range(0, len(pixels), BATCH):
                measure.update(torch.tensor(pixels[start : start + BATCH]).permute(0, 3, 1, 2), real=is_real)
        torch.manual_seed(0)  # the kernel distance draws its subsets
        value = measure.compute()
        found.append(float(value[0] if isinstance(value, tuple) else value))
    return Distances(found[0], 1000 * found[1])


def main(
    miniature: Annotated[str, typer.Option(help="text-to-image or transformer.")] = WHOLE,
    count: Annotated[int, typer.Option(min=SUBSET, help="Images of each set.")] = 2_000,
    steps: Annotated[int, typer.Option(min=1, help="DDIM steps.")] = 50,
    guidance_scale: float = GUIDANCE_SCALE,
    seed: int = 0,
    work: Annotated[Path, typer.Option(help="Folder for the renders.")] = Path("runs/portraits"),
    device: Annotated[str | None, typer.Option(help="Default: the GPU if there is one.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the figures here, as JSON.")] = None,
) -> None:
    """Compare generated portraits of fresh captions with renders of the same and of other portraits."""
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    fresh = pictures("evaluation", 2 * count, work / "pictures")
    real, others = fresh.pixels[:count], fresh.pixels[count:]
    texts = [
        caption(portrait, number).text
        for portrait, number in zip(fresh.portraits, seeds("evaluation", count), strict=False)
    ]
    pipeline = load_miniature(miniature).to(device)
    generated = draw_captions(pipeline, texts, steps, guidance_scale, seed, **SHIPPED[miniature].call)
    rows = {"generated": distances(generated, others), "other renders": distances(real, others)}
    table = Table("against renders", "Frechet distance", "kernel distance, thousandths")
    for name, row in rows.items():
        table.add_row(name, f"{row.frechet:.2f}", f"{row.kernel:.2f}")
    Console().print(table)
    if out:
        figures: dict[str, Any] = {
            "images": count,
            "steps": steps,
            "guidance_scale": guidance_scale,
            "seed": seed,
        }
        figures |= {name.replace(" ", "_"): row._asdict() for name, row in rows.items()}
        out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
