"""python -m mmcache_demos.portraits.controlnet.evaluate: do pictures follow edges, and still captions?

The edges of fresh portraits are asked for, with their captions, and the drawn pictures' edges are compared
with them: F1 score with a tolerance of two pixels. Beside it stand the same captions and noise without the
ControlNet, and the autoencoder's reconstructions of the portraits, which no latent diffusion can surpass.
Full captions tell much of the shapes, hats and hair for instance; short ones name only the background, and
leave the shapes to the edges.
"""

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from diffusers import ControlNetModel, StableDiffusionControlNetPipeline
from PIL import Image
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from mmcache_demos import GUIDANCE_SCALE, load_miniature
from mmcache_demos.devices import Device, chosen_device
from mmcache_demos.portraits.attributes import VALUES, random_portrait
from mmcache_demos.portraits.autoencoder import reconstruct
from mmcache_demos.portraits.captions import caption
from mmcache_demos.portraits.classifier import load_classifier
from mmcache_demos.portraits.controlnet.edges import agreement, edge_pictures, edges
from mmcache_demos.portraits.dataset import seeds
from mmcache_demos.portraits.drawing import draw
from mmcache_demos.portraits.evaluate import asked_and_named, contact_sheet, draw_captions

BATCH = 16
COLORS = ("background", "hair_color", "hat_color", "clothing_color")  # edges do not tell these


def draw_along(
    pipeline: StableDiffusionControlNetPipeline,
    texts: list[str],
    lines: np.ndarray,
    steps: int,
    guidance: float,
    seed: int,
) -> np.ndarray:
    """Pictures of the texts along the edges, uint8 (N, 128, 128, 3).

    Args:
        lines: edges as pictures, uint8 (N, 128, 128, 3).
    """
    pipeline.set_progress_bar_config(disable=True)
    drawn = []
    for start in tqdm(range(0, len(texts), BATCH), "drawing along edges"):
        batch = texts[start : start + BATCH]
        images = pipeline(
            batch,
            image=[Image.fromarray(picture) for picture in lines[start : start + BATCH]],
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=[
                torch.Generator().manual_seed(seed * 1_000_003 + start + i) for i in range(len(batch))
            ],
        ).images
        drawn += [np.asarray(image) for image in images]
    return np.stack(drawn)


def samples(sources: np.ndarray, lines: np.ndarray, drawn: np.ndarray) -> Image.Image:
    """Triples of the portrait, its edges and the picture drawn along them, four triples in a row."""
    triples = zip(sources, lines, drawn, strict=True)
    return contact_sheet(np.stack([picture for triple in triples for picture in triple]), columns=12)


def main(
    model: Annotated[
        Path | None, typer.Option(help="Folder of another ControlNet; default: the shipped one.")
    ] = None,
    count: Annotated[int, typer.Option(min=2, help="Portraits.")] = 48,
    steps: Annotated[int, typer.Option(min=1)] = 15,
    guidance_scale: float = GUIDANCE_SCALE,
    seed: int = 0,
    device: Device = None,
    out: Annotated[Path | None, typer.Option(help="Write the figures here, as JSON.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write the first 40 pictures here, as PNG.")] = None,
) -> None:
    """Draw fresh captions along edges, and compare edges and attributes with what was asked."""
    device = chosen_device(device)
    other = {"controlnet": ControlNetModel.from_pretrained(model)} if model else {}
    pipeline = load_miniature("controlnet", **other).to(device)
    wanted = [random_portrait(number) for number in seeds("evaluation", count)]
    captions = [caption(p, number) for p, number in zip(wanted, seeds("evaluation", count), strict=True)]
    sources = np.stack([draw(portrait) for portrait in wanted])
    lines, asked = edge_pictures(sources), edges(sources)

    full = [words.text for words in captions]
    short = [f"a person on a {portrait.background} background" for portrait in wanted]
    plain, drawn = load_miniature().to(device), {}
    for kind, texts in (("", full), (", short captions", short)):
        drawn["with ControlNet" + kind] = draw_along(pipeline, texts, lines, steps, guidance_scale, seed)
        drawn["without" + kind] = draw_captions(plain, texts, steps, guidance_scale, seed)
    if sheet:
        samples(sources[:40], lines[:40], drawn["with ControlNet"][:40]).save(sheet)
    pictures = drawn | {"reconstructed": reconstruct(pipeline.vae, sources)}
    scores = {name: agreement(edges(pixels), asked) for name, pixels in pictures.items()}
    agreements = Table("pictures", "F1 of edges, mean", "lowest tenth below")
    for name, score in scores.items():
        agreements.add_row(name, f"{score.mean():.3f}", f"{np.quantile(score, 0.1):.3f}")

    classifier = load_classifier()
    found = {
        name: asked_and_named(classifier, captions, wanted, drawn[name])
        for name in ("with ControlNet", "without")
    }
    shares = {
        name: {field: sum(answers) / len(answers) for field, answers in fields.items() if answers}
        for name, fields in found.items()
    }
    named = {field: len(answers) for field, answers in found["without"].items() if answers}
    attributes = Table("attribute", *found, "captions that name it")
    for field in filter(named.get, VALUES):
        attributes.add_row(
            field.replace("_", " "), *(f"{share[field]:.1%}" for share in shares.values()), str(named[field])
        )
    colors = {
        name: sum(sum(fields[field]) for field in COLORS) / sum(named[field] for field in COLORS)
        for name, fields in found.items()
    }
    attributes.add_row("all colours", *(f"{share:.1%}" for share in colors.values()), "")
    Console().print(agreements, attributes)
    if out:
        figures = {
            "captions": count,
            "steps": steps,
            "guidance_scale": guidance_scale,
            "seed": seed,
            "edge_f1": {name: float(score.mean()) for name, score in scores.items()},
            "as_asked": shares,
            "colors_as_asked": colors,
            "named": named,
        }
        out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
