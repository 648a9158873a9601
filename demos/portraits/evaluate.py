"""python -m mmcache_demos.portraits.evaluate: does the miniature draw what the caption asks for?

Fresh captions are drawn, and the attribute classifier names what it sees. An attribute counts where
the caption names it: glasses and hat by their kind (naming hair asks for no hat), colours by their name.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from diffusers import DiffusionPipeline
from PIL import Image
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from mmcache_demos import GUIDANCE_SCALE, SHIPPED, WHOLE, load_miniature
from mmcache_demos.devices import Device, chosen_device
from mmcache_demos.portraits.attribute_accuracy import AVERAGED, Asked, as_asked
from mmcache_demos.portraits.attributes import VALUES, random_portrait
from mmcache_demos.portraits.captions import Caption, caption
from mmcache_demos.portraits.classifier import AttributeClassifier, load_classifier
from mmcache_demos.portraits.dataset import seeds

BATCH = 32
SHOWN_SIZE = 128  # pixels of a picture on the sheet; larger ones stay as they are


def asked_and_named(classifier: AttributeClassifier, captions: list[Caption], wanted, pixels: np.ndarray):
    """For every field: of the pictures whose caption names it, whether the classifier agrees.

    Args:
        wanted: the portraits behind the captions.
        pixels: the pictures drawn from the captions, uint8 (N, 128, 128, 3) or larger.
    """
    asked = [Asked(portrait, text) for portrait, text in zip(wanted, captions, strict=True)]
    found: dict[str, list[bool]] = {field: [] for field in VALUES}
    for answers in as_asked(classifier, asked, pixels):
        for field, right in answers.items():
            found[field].append(right)
    return found


def draw_captions(
    pipeline: DiffusionPipeline, texts: list[str], steps: int, guidance: float, seed: int, **call: Any
) -> np.ndarray:
    """Pictures of the texts, uint8 (N, 128, 128, 3).

    Args:
        call: more arguments of the pipeline.
    """
    pipeline.set_progress_bar_config(disable=True)
    drawn = []
    for start in tqdm(range(0, len(texts), BATCH), "drawing captions"):
        batch = texts[start : start + BATCH]
        generators = [torch.Generator().manual_seed(seed * 1_000_003 + start + i) for i in range(len(batch))]
        images = pipeline(  # type: ignore[operator]  # every pipeline can be called
            batch, num_inference_steps=steps, guidance_scale=guidance, generator=generators, **call
        ).images
        drawn += [np.asarray(image) for image in images]
    return np.stack(drawn)


def contact_sheet(pixels: np.ndarray, columns: int = 8, enlarge: int = 2) -> Image.Image:
    """Pictures (N, 128, 128, 3) side by side, row by row; a last row that is not full is left out."""
    rows = [
        np.concatenate(pixels[start : start + columns], axis=1)
        for start in range(0, len(pixels) - columns + 1, columns)
    ]
    sheet = Image.fromarray(np.concatenate(rows))
    return sheet.resize((sheet.width * enlarge, sheet.height * enlarge), Image.Resampling.NEAREST)


def main(
    miniature: Annotated[str, typer.Option(help="text-to-image or transformer.")] = WHOLE,
    model: Annotated[Path | None, typer.Option(help="Pipeline folder; default: the shipped one.")] = None,
    count: Annotated[int, typer.Option(min=1, help="Captions.")] = 256,
    steps: Annotated[int, typer.Option(min=1, help="DDIM steps.")] = 50,
    guidance_scale: float = GUIDANCE_SCALE,
    seed: int = 0,
    device: Device = None,
    out: Annotated[Path | None, typer.Option(help="Write the figures here, as JSON.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write the first 64 pictures here, as PNG.")] = None,
) -> None:
    """Draw fresh captions and count the attributes that are drawn as asked."""
    device = chosen_device(device)
    wanted = [random_portrait(number) for number in seeds("evaluation", count)]
    captions = [caption(p, number) for p, number in zip(wanted, seeds("evaluation", count), strict=True)]
    pipeline = DiffusionPipeline.from_pretrained(model) if model else load_miniature(miniature)
    texts, call = [text.text for text in captions], SHIPPED[miniature].call
    pixels = draw_captions(pipeline.to(device), texts, steps, guidance_scale, seed, **call)
    found = asked_and_named(load_classifier(), captions, wanted, pixels)
    shares = {field: sum(answers) / len(answers) for field, answers in found.items() if answers}

    table = Table("attribute", "as asked", "of captions that name it")
    for field, share in shares.items():
        table.add_row(field.replace("_", " "), f"{share:.1%}", str(len(found[field])))
    average = float(np.mean([shares.get(field, 0.0) for field in AVERAGED]))
    table.add_row("mean of " + ", ".join(AVERAGED).replace("_", " "), f"{average:.1%}", "")
    Console().print(table)
    if out:
        figures = {
            "captions": count,
            "steps": steps,
            "guidance_scale": guidance_scale,
            "seed": seed,
            "as_asked": shares,
            "named": {field: len(answers) for field, answers in found.items()},
            "mean_of_four": average,
        }
        out.write_text(json.dumps(figures, indent=2) + "\n")
    if sheet:
        contact_sheet(pixels[:64], enlarge=max(1, SHOWN_SIZE // pixels.shape[1])).save(sheet)


if __name__ == "__main__":
    typer.run(main)
