"""python -m mmcache_demos.portraits.inpainting.evaluate: does it change what it is asked to, and only that?

Each case edits one attribute of a fresh portrait: the mask covers what has to change, the caption asks for
another value than the picture has, and the attribute classifier names what was drawn. Copying never succeeds.
Outside the mask, the drawn picture is compared with the source, and so is the autoencoder's reconstruction of
the source, which no latent diffusion can surpass; `apply_overlay` of the pipeline's image processor then puts
the source's own pixels there.
"""

import json
from dataclasses import dataclass
from itertools import count as numbers
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from diffusers import AutoencoderKL, StableDiffusionInpaintPipeline, UNet2DConditionModel
from PIL import Image
from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from mmcache_demos import GUIDANCE_SCALE, load_miniature
from mmcache_demos.devices import Device, chosen_device
from mmcache_demos.portraits.attributes import VALUES, random_portrait
from mmcache_demos.portraits.autoencoder import reconstruct
from mmcache_demos.portraits.captions import caption
from mmcache_demos.portraits.classifier import AttributeClassifier, load_classifier, shown
from mmcache_demos.portraits.dataset import SPLIT_OFFSETS
from mmcache_demos.portraits.drawing import draw
from mmcache_demos.portraits.evaluate import contact_sheet
from mmcache_demos.portraits.inpainting.edits import EDITED, Edit, changed_pixels, editable, random_edit
from mmcache_demos.portraits.inpainting.masks import grown

BATCH = 20
GROWTH = 6  # pixels by which masks are wider than what has to change


@dataclass(frozen=True)
class Case:
    """One edit to be made.

    Attributes:
        source: the picture before, uint8 (128, 128, 3).
        mask: bool (128, 128), True where to paint.
        text: names the asked value, and most of what else the picture shows.
    """

    edit: Edit
    source: np.ndarray
    mask: np.ndarray
    text: str

    @classmethod
    def of(cls, edit: Edit, seed: int) -> "Case":
        worded = (caption(edit.asked, way) for way in numbers(seed))
        text = next(words.text for words in worded if edit.field in words.named)
        mask = grown(torch.from_numpy(changed_pixels(edit))[None], GROWTH)[0].numpy()
        return cls(edit, draw(edit.source), mask, text)


def cases(count: int) -> list[Case]:
    """The first cases of the split "evaluation", the edited attribute changing from one to the next."""
    found: list[Case] = []
    for seed in numbers(SPLIT_OFFSETS["evaluation"]):
        if len(found) == count:
            return found
        source, field = random_portrait(seed), EDITED[len(found) % len(EDITED)]
        if field in editable(source):
            found.append(Case.of(random_edit(source, field, seed), seed))
    raise AssertionError("unreachable: seeds do not end")


def fill(
    pipeline: StableDiffusionInpaintPipeline, wanted: list[Case], steps: int, guidance: float, seed: int
) -> np.ndarray:
    """The cases' pictures as the pipeline draws them, uint8 (N, 128, 128, 3)."""
    pipeline.set_progress_bar_config(disable=True)
    drawn = []
    for start in tqdm(range(0, len(wanted), BATCH), "filling masks"):
        batch = wanted[start : start + BATCH]
        images = pipeline(  # type: ignore[union-attr]  # no tuple without return_dict=False
            [case.text for case in batch],
            image=[Image.fromarray(case.source) for case in batch],
            mask_image=[Image.fromarray(case.mask) for case in batch],
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=[
                torch.Generator().manual_seed(seed * 1_000_003 + start + i) for i in range(len(batch))
            ],
        ).images
        drawn += [np.asarray(image) for image in images]
    return np.stack(drawn)


def overlay(pipeline: StableDiffusionInpaintPipeline, wanted: list[Case], drawn: np.ndarray) -> np.ndarray:
    """The drawn pictures with the source's own pixels outside the masks, uint8 (N, 128, 128, 3)."""
    return np.stack(
        [
            np.asarray(
                pipeline.image_processor.apply_overlay(
                    Image.fromarray(case.mask), Image.fromarray(case.source), Image.fromarray(picture)
                ).convert("RGB")
            )
            for case, picture in zip(wanted, drawn, strict=True)
        ]
    )


def as_asked(classifier: AttributeClassifier, wanted: list[Case], drawn: np.ndarray) -> dict[str, list[bool]]:
    """For every edited field: of its cases, whether the classifier names the asked value."""
    found: dict[str, list[bool]] = {field: [] for field in EDITED}
    for case, seen in zip(wanted, classifier.name(drawn), strict=True):
        found[case.edit.field].append(seen[case.edit.field] == getattr(case.edit.asked, case.edit.field))
    return found


def kept(classifier: AttributeClassifier, wanted: list[Case], drawn: np.ndarray) -> float:
    """Share of the other attributes, shown before and after, that the classifier still names as before."""
    same = [
        seen[field] == getattr(case.edit.source, field)
        for case, seen in zip(wanted, classifier.name(drawn), strict=True)
        for field in VALUES
        if field != case.edit.field and shown(case.edit.source, field) and shown(case.edit.asked, field)
    ]
    return sum(same) / len(same)


@dataclass(frozen=True)
class Outside:
    """How far pictures are from their sources outside the masks.

    Attributes:
        error: mean absolute difference, in levels of 255.
        psnr: of that part of the picture, in dB, mean over the pictures; 100 if nothing differs.
    """

    error: float
    psnr: float


def outside(wanted: list[Case], pictures: np.ndarray) -> Outside:
    """Compare pictures, uint8 (N, 128, 128, 3), with the sources where the masks say to keep them.

    Pictures that are masked altogether do not count.
    """
    errors, decibels = [], []
    for case, picture in zip(wanted, pictures, strict=True):
        if case.mask.all():
            continue
        difference = (picture.astype(float) - case.source)[~case.mask]
        errors.append(np.abs(difference).mean())
        decibels.append(min(100.0, -10 * np.log10(max(np.square(difference / 255).mean(), 1e-10))))
    return Outside(float(np.mean(errors)), float(np.mean(decibels)))


def samples(wanted: list[Case], drawn: np.ndarray) -> Image.Image:
    """Triples of source, source with a gray mask, and drawn picture, four triples in a row."""
    masked = [np.where(case.mask[..., None], np.uint8(128), case.source) for case in wanted]
    triples = zip((case.source for case in wanted), masked, drawn, strict=True)
    return contact_sheet(np.stack([picture for triple in triples for picture in triple]), columns=12)


def main(
    model: Annotated[
        Path | None, typer.Option(help="Folder with another `unet`; default: the shipped one.")
    ] = None,
    count: Annotated[int, typer.Option(min=len(EDITED), help="Cases.")] = 200,
    steps: Annotated[int, typer.Option(min=1)] = 15,
    guidance_scale: float = GUIDANCE_SCALE,
    seed: int = 0,
    device: Device = None,
    out: Annotated[Path | None, typer.Option(help="Write the figures here, as JSON.")] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write the first 40 cases here, as PNG.")] = None,
) -> None:
    """Edit fresh portraits, count the edits that succeed, and measure what changes outside the masks."""
    device = chosen_device(device)
    other = {"unet": UNet2DConditionModel.from_pretrained(model, subfolder="unet")} if model else {}
    pipeline = load_miniature("inpainting", **other).to(device)
    vae: AutoencoderKL = pipeline.vae
    classifier, wanted = load_classifier(), cases(count)
    drawn = fill(pipeline, wanted, steps, guidance_scale, seed)
    if sheet:
        samples(wanted[:40], drawn[:40]).save(sheet)

    found = as_asked(classifier, wanted, drawn)
    before = as_asked(classifier, wanted, np.stack([case.source for case in wanted]))
    table = Table("attribute", "as asked", "source already", "cases")
    for field in EDITED:
        table.add_row(
            field.replace("_", " "),
            f"{np.mean(found[field]):.1%}",
            f"{np.mean(before[field]):.1%}",
            str(len(found[field])),
        )
    together = [answer for answers in found.values() for answer in answers]
    table.add_row("all", f"{np.mean(together):.1%}", "", str(len(together)))
    others = kept(classifier, wanted, drawn)
    table.caption = f"{others:.1%} of the other attributes stay"

    places = {
        "drawn": outside(wanted, drawn),
        "reconstructed": outside(wanted, reconstruct(vae, np.stack([case.source for case in wanted]))),
        "overlaid": outside(wanted, overlay(pipeline, wanted, drawn)),
    }
    distances = Table("outside the mask", "mean difference, of 255", "PSNR to the source, dB")
    for name, figure in places.items():
        distances.add_row(name, f"{figure.error:.2f}", f"{figure.psnr:.1f}")
    Console().print(table, distances)
    if out:
        figures = {
            "cases": count,
            "steps": steps,
            "guidance_scale": guidance_scale,
            "seed": seed,
            "as_asked": {field: float(np.mean(answers)) for field, answers in found.items()},
            "all_as_asked": float(np.mean(together)),
            "others_kept": others,
            "outside": {
                name: {"error": figure.error, "psnr": figure.psnr} for name, figure in places.items()
            },
        }
        out.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
