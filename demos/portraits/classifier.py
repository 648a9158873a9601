"""python -m mmcache_demos.portraits.classifier: trains a small network that names a picture's attributes."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from mmcache_demos import miniature_folder
from mmcache_demos.devices import Device, chosen_device
from mmcache_demos.portraits.attributes import VALUES, Portrait
from mmcache_demos.portraits.autoencoder import to_tensor
from mmcache_demos.portraits.dataset import Pictures, pictures
from mmcache_demos.portraits.training import Recipe, train

NOT_SHOWN = -100  # cross_entropy's own sign for "do not count"
WEIGHTS = "model.safetensors"
SIGHT = 64  # pixels; larger pictures are averaged down to as many


class AttributeClassifier(nn.Module):
    """Pictures (N, 3, 64, 64) in [-1, 1] to logits for every head, {field: (N, values)}."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 24, 48, 96, 128)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 3, 2, padding=1), nn.GroupNorm(8, outputs), nn.SiLU()]
        self.features = nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 16, 128), nn.SiLU())
        self.heads = nn.ModuleDict({field: nn.Linear(128, len(values)) for field, values in VALUES.items()})

    def forward(self, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.features(pictures)
        return {field: head(features) for field, head in self.heads.items()}

    @torch.no_grad()
    def name(self, pixels: np.ndarray) -> list[dict[str, str]]:
        """What it sees in pictures, uint8 (N, 64, 64, 3) or larger: a value for every field of `VALUES`."""
        looked_at = to_tensor(pixels, next(self.parameters()).device)
        logits = self(F.adaptive_avg_pool2d(looked_at, SIGHT))
        best = {field: scores.argmax(dim=1).tolist() for field, scores in logits.items()}
        return [{field: VALUES[field][best[field][i]] for field in VALUES} for i in range(len(pixels))]


def load_classifier(folder: Path | None = None) -> AttributeClassifier:
    """The shipped classifier, or the one in `folder`."""
    classifier = AttributeClassifier()
    weights = load_file((folder or miniature_folder("attribute-classifier")) / WEIGHTS)
    classifier.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return classifier.eval()


def shown(portrait: Portrait, field: str) -> bool:
    """Whether a field can be seen in the picture at all."""
    if field == "hair_color":
        return portrait.shows_hair_color
    if field in ("hair", "hat_color"):
        return (portrait.hat == "none") == (field == "hair")
    return True


def classifier_loss(classifier: AttributeClassifier, data: Pictures, batch: int, device: str):
    """The loss of a step, for `training.train`: the mean cross-entropy over the heads."""
    labels = {
        field: torch.tensor(
            [values.index(getattr(p, field)) if shown(p, field) else NOT_SHOWN for p in data.portraits]
        )
        for field, values in VALUES.items()
    }

    def loss(step: int) -> torch.Tensor:
        chosen = torch.randint(len(data.portraits), (batch,)).sort().values
        pixels = to_tensor(data.pixels[chosen.numpy()], device)
        # Generated pictures are softer and a little off in place and colour; so are these.
        pixels = torch.roll(pixels, torch.randint(-2, 3, (2,)).tolist(), dims=(2, 3))
        if step % 2:
            pixels = F.avg_pool2d(pixels, 3, stride=1, padding=1, count_include_pad=False)
        pixels = pixels + 0.05 * torch.randn_like(pixels)
        logits = classifier(pixels)
        losses = [F.cross_entropy(logits[field], labels[field][chosen].to(device)) for field in VALUES]
        return torch.stack(losses).mean()

    return loss


def accuracies(classifier: AttributeClassifier, data: Pictures) -> dict[str, float]:
    """Share of right answers per field, over the pictures in which the field can be seen."""
    seen = classifier.name(np.asarray(data.pixels))
    right: dict[str, list[bool]] = {field: [] for field in VALUES}
    for portrait, answer in zip(data.portraits, seen, strict=True):
        for field in VALUES:
            if shown(portrait, field):
                right[field].append(answer[field] == getattr(portrait, field))
    return {field: sum(answers) / len(answers) for field, answers in right.items()}


def main(
    work: Annotated[Path, typer.Option(help="Folder for pictures and checkpoints.")] = Path("runs/portraits"),
    out: Annotated[Path | None, typer.Option(help="Folder of the trained classifier.")] = None,
    iterations: Annotated[int, typer.Option(min=1)] = 1200,
    device: Device = None,
) -> None:
    """Train the attribute classifier on pictures that no miniature was trained on."""
    device = chosen_device(device)
    out = out or miniature_folder("attribute-classifier")
    data = pictures("classifier", 10_240, work / "pictures")
    held_out = pictures("classifier-held-out", 1024, work / "pictures")
    torch.manual_seed(0)
    classifier = AttributeClassifier().to(device)
    recipe = Recipe(iterations, learning_rate=2e-3)
    loss = classifier_loss(classifier, data, batch=64, device=device)
    averaged = train(classifier, loss, recipe, work / "classifier.ckpt")
    figures = {field: round(share, 4) for field, share in accuracies(averaged, held_out).items()}
    out.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.half().contiguous() for name, tensor in averaged.state_dict().items()}
    save_file(weights, out / WEIGHTS)
    (out / "accuracy.json").write_text(json.dumps(figures, indent=2) + "\n")
    for field, share in figures.items():
        print(f"{field:15} {share:.1%} of {len(held_out.portraits)} held-out renders")


if __name__ == "__main__":
    typer.run(main)
