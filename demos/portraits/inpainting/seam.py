"""python -m mmcache_demos.portraits.inpainting.seam: what caching does to the picture where the mask ends.

The cases of `evaluate` are filled in full and under several plans from the same noise, and compared within
the mask, around its border and outside of it. The table is the evidence of the presets for inpainting.
"""

from typing import Annotated, NamedTuple

import numpy as np
import torch
import typer
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table

import mmcache
from mmcache_demos import GUIDANCE_SCALE, load_miniature
from mmcache_demos.portraits.inpainting.evaluate import Case, cases
from mmcache_demos.portraits.inpainting.masks import grown

REACH = 6  # pixels on either side of the mask's border
FEWER_STEPS = (2, 3)  # times

PLANS = (
    mmcache.Plan(mmcache.Uniform(2), mmcache.Hold()),
    *(mmcache.Plan(mmcache.Uniform(interval), mmcache.Taylor(1)) for interval in (2, 3, 5)),
    *(mmcache.Plan(mmcache.Uniform(interval), mmcache.Taylor(2)) for interval in (2, 3)),
    mmcache.Plan(mmcache.Uniform(3), mmcache.Taylor(1), branch=1),
    *(mmcache.Plan(mmcache.Uniform(interval, cooldown=2), mmcache.Taylor(1)) for interval in (2, 3, 5, 8)),
    mmcache.Plan(mmcache.Uniform(3, warmup=2), mmcache.Taylor(1)),
)


class Regions(NamedTuple):
    """Masks, bool (N, 128, 128): where to paint, around the border, and the rest."""

    inside: np.ndarray
    seam: np.ndarray
    outside: np.ndarray


def regions(wanted: list[Case]) -> Regions:
    """The three parts of every case's picture."""
    inside = torch.from_numpy(np.stack([case.mask for case in wanted]))
    seam = grown(inside, REACH) & grown(~inside, REACH)
    return Regions(*(part.numpy() for part in (inside & ~seam, seam, ~inside & ~seam)))


def psnr(pictures: np.ndarray, full: np.ndarray, where: np.ndarray) -> float:
    """dB within a region, mean over the pictures that have it; at most 100."""
    found = [
        -10 * np.log10(max(np.square(picture - other)[region].mean(), 1e-10))
        for picture, other, region in zip(pictures, full, where, strict=True)
        if region.any()
    ]
    return float(np.mean(found))


def main(
    count: Annotated[int, typer.Option(min=5, help="Cases.")] = 30,
    steps: Annotated[int, typer.Option(min=2, help="Steps of the full run.")] = 50,
    guidance_scale: float = GUIDANCE_SCALE,
) -> None:
    """Measure how far cached pictures are from full ones, inside, at and outside the mask's border."""
    pipe = load_miniature("inpainting")
    pipe.set_progress_bar_config(disable=True)
    wanted = cases(count)
    places = regions(wanted)

    def fill(steps: int) -> np.ndarray:
        return pipe(
            [case.text for case in wanted],
            image=[Image.fromarray(case.source) for case in wanted],
            mask_image=[Image.fromarray(case.mask) for case in wanted],
            num_inference_steps=steps,
            guidance_scale=guidance_scale,
            generator=[torch.Generator().manual_seed(number) for number in range(count)],
            output_type="np",
        ).images

    full = fill(steps)
    table = Table("fewer MACs", "PSNR inside", "around the border", "outside", "plan")
    for plan in track(PLANS, "plans"):
        with mmcache.accelerate(pipe, plan) as session:
            pictures = fill(steps)
            part = session.report().denoisers[0]
        assert part.full_macs is not None
        assert part.macs is not None
        figures = (f"{psnr(pictures, full, place):.1f}" for place in places)
        table.add_row(f"{part.full_macs / part.macs:.2f}x", *figures, str(plan))
    for times in FEWER_STEPS:
        pictures = fill(round(steps / times))
        figures = (f"{psnr(pictures, full, place):.1f}" for place in places)
        table.add_row(f"{times:.2f}x", *figures, f"no cache, {round(steps / times)} steps")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
