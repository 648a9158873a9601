"""python -m mmcache_demos.benchmarks.prompt_change: how close images are whose prompt changes in mid-run.

The text-to-image miniature draws one prompt and, from some step on, another, which a callback puts in the
place of the first. The same images are generated without a cache, under the default plan, under it without
the pairs of full steps that such runs begin with, under it with no more than one full step behind the change,
and under it up to the change and in full from there on: what the last has lost was lost before the change.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Annotated, Any, NamedTuple
from unittest.mock import patch

import numpy as np
import torch
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

import mmcache
from mmcache.engine import paired_steps
from mmcache.engine import step as engine_step
from mmcache.tools.quality.figures import psnr_of_each
from mmcache_demos import GUIDANCE_SCALE, load_miniature

FIRST = "a person with long red hair, round glasses and a black hoodie, smiling, on a yellow background"
SECOND = "a person with short black hair and a green dress, sad, on a blue background"
STEPS = 30
CHANGES = (4, 6, 8, 9, 11, 14, 16, 20, 24)  # the steps behind which the prompt changes
SEEDS = (5, 6, 7)
CACHED = "default plan"
NO_PAIRS = "no pairs of full steps before the change"
ONE_FULL_STEP = "one full step behind the change"
FULL_BEHIND = "full from the change on"
LEAVES_OUT: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    CACHED: nullcontext,
    NO_PAIRS: partial(patch.object, paired_steps, "PAIRED", 0),
    ONE_FULL_STEP: partial(patch.object, engine_step, "MOST_STEPS", -1),
    FULL_BEHIND: nullcontext,
}


class Way(NamedTuple):
    """Images of one way to generate them.

    Attributes:
        psnr: to the runs without a cache, dB, of each change and seed.
        full_steps: of each run; [] where not counted.
    """

    psnr: list[float]
    full_steps: list[int]


def image(pipe: Any, change: int, seed: int, at_change: Callable[[], None] = lambda: None) -> np.ndarray:
    """An image (H, W, 3) whose prompt changes behind a step; `at_change` is called there."""
    with_words, without = pipe.encode_prompt(SECOND, pipe.device, 1, True)
    second = torch.cat([without, with_words])

    def callback(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if step == change:
            tensors["prompt_embeds"] = second
            at_change()
        return tensors

    images: np.ndarray = pipe(
        FIRST,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE_SCALE,
        output_type="np",
        generator=torch.Generator().manual_seed(seed),
        callback_on_step_end=callback,
        callback_on_step_end_tensor_inputs=["prompt_embeds"],
    ).images
    return images[0]


def compared(pipe: Any, changes: Sequence[int], seeds: Sequence[int]) -> dict[str, Way]:
    """All ways, over all changes and seeds."""
    ways = {name: Way([], []) for name in LEAVES_OUT}
    for change in track(changes, "changes"):
        for seed in seeds:
            reference = image(pipe, change, seed)
            for name, (psnr, full_steps) in ways.items():
                with LEAVES_OUT[name](), mmcache.accelerate(pipe) as session:
                    switch_off = partial(setattr, session, "enabled", False)
                    found = image(pipe, change, seed, switch_off if name == FULL_BEHIND else lambda: None)
                    steps = session.report().denoisers[0].steps
                psnr += psnr_of_each(found[None], reference[None], [SECOND])
                if name != FULL_BEHIND:  # a session that is switched off counts nothing
                    full_steps.append(sum(step.branch is None for step in steps))
    return ways


def main(
    changes: Annotated[list[int] | None, typer.Option(min=0, max=STEPS - 2)] = None,
    seeds: Annotated[list[int] | None, typer.Option()] = None,
) -> None:
    """Compare images whose prompt changes in mid-run."""
    pipe = load_miniature()
    pipe.set_progress_bar_config(disable=True)
    found = compared(pipe, changes or CHANGES, seeds or SEEDS)
    table = Table("way", "full steps", "PSNR to full, dB", "worst", "beside full from the change on, dB")
    for name, way in found.items():
        beside = np.mean(np.subtract(way.psnr, found[FULL_BEHIND].psnr))
        table.add_row(
            name,
            f"{np.mean(way.full_steps):.1f} of {STEPS}" if way.full_steps else "",
            f"{np.mean(way.psnr):.1f}",
            f"{min(way.psnr):.1f}",
            f"{beside:+.1f}",
        )
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
