"""python -m mmcache_demos.portraits.guard_study: whether a run tells which images need more full steps.

At a full step the error of the forecast is known. A guard compares it with the error that other captions
had there, and halves the next gap between full steps where it is larger by a factor. Beside it stand the
same full steps dealt out to other images, more for every image, and more for those that are known to end
worst: from the start, or from when the first errors are measured.
"""

import itertools
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from diffusers import DDIMScheduler
from rich.console import Console
from scipy.stats import spearmanr

import mmcache
from mmcache.api.resolved_pipeline import find_denoisers
from mmcache.plans.forecast import Observation, lagrange_weights, weighted
from mmcache.plans.plan import Plan
from mmcache.plans.presets import find_plan
from mmcache.plans.preview import full_steps
from mmcache.tools.running.requests import image_requests
from mmcache.tools.tuning.runs import Trials
from mmcache_demos import GUIDANCE_SCALE, SHIPPED, WHOLE
from mmcache_demos.devices import miniature_to_measure
from mmcache_demos.portraits.against_deepcache import captions_of
from mmcache_demos.portraits.attribute_accuracy import fresh_captions
from mmcache_demos.portraits.frontier import FAMILIES, FIRST_SEED, line
from mmcache_demos.portraits.per_image import per_image

EXPECTED_FROM, EXPECTED_SEED = 100, 6000  # captions that tell what to expect; those before it judge
EARLY = 3  # measurements
KNOWN = 5  # the worst of so many images get more full steps, where the worst are known
MORE = 7  # full steps for these
HEADER = "| full steps | more | PSNR to full, dB | worst tenth | worst |\n|---|---|---|---|---|"


class Measured(NamedTuple):
    """An error of a forecast: of how many observations it was made, and the error's logarithm."""

    observations: int
    error: float


@dataclass
class Guard:
    """Decides about one image: the planned full steps, and more where it turns out to be hard.

    Attributes:
        full: the full steps, those that were added among them.
        expected: the usual error at each planned step; none to measure only.
        factor: how many times larger an error has to be.
        most: full steps that may still be added.
        measured: the error at each full step.
    """

    full: set[int]
    expected: dict[int, Measured] = field(default_factory=dict)
    factor: float = math.inf
    most: int = 0
    measured: dict[int, Measured] = field(default_factory=dict)

    def is_full(self, step: int) -> bool:
        return step in self.full

    def seen(self, step: int, past: Sequence[Observation]) -> None:
        if len(past) < 2:
            return
        self.measured[step] = forecast_error(past)
        if self.most and self.excess(step) > math.log(self.factor):
            following = min((other for other in self.full if other > step), default=step)
            if following - step > 1:
                self.full.add((step + following) // 2)
                self.most -= 1

    def excess(self, step: int) -> float:
        """How far the error is above the usual one, as a logarithm; between planned steps interpolated."""
        observations, error = self.measured[step]
        usual = {at: one.error for at, one in self.expected.items() if one.observations == observations}
        return error - float(np.interp(step, list(usual), list(usual.values())))


def forecast_error(past: Sequence[Observation]) -> Measured:
    """The relative error of a linear forecast of the newest observation, on the scale of its remainder.

    So it depends little on how far apart the observations are.
    """
    *before, now = past[-3:]
    told = weighted(lagrange_weights(now.time, [one.time for one in before]), before)[0]
    scale = math.prod(abs(now.time - one.time) for one in before)
    off = (now.feature[0] - told).norm() / now.feature[0].norm()
    return Measured(len(before), math.log(off.item() / scale + 1e-12))


def halves(full: set[int], step: int, most: int) -> set[int]:
    """The middles of the next gaps between full steps, from a full step on."""
    middles = [(a + b) // 2 for a, b in itertools.pairwise(sorted(one for one in full if one >= step))]
    return set([middle for middle in middles if middle not in full][:most])


def run(trials: Trials, plan: Plan, guards: Sequence[Guard]) -> np.ndarray:
    """PSNR of all images to their full runs, each by its own guard."""
    pipe, images = trials.pipe, []
    (denoiser,) = find_denoisers(pipe).values()
    for first in range(0, len(guards), trials.batch):
        some = slice(first, first + trials.batch)
        with per_image(denoiser.model, plan, guards[some]):
            images.append(Trials(pipe, trials.requests[some], trials.settings, trials.batch).generate())
    return trials.psnr_of(np.concatenate(images))


def usual_errors(trials: Trials, plan: Plan, full: set[int]) -> dict[int, Measured]:
    """The mean error at each full step."""
    guards = [Guard(set(full)) for _ in trials.requests]
    run(trials, plan, guards)
    return {
        step: Measured(one.observations, float(np.mean([guard.measured[step].error for guard in guards])))
        for step, one in guards[0].measured.items()
    }


def study(
    trials: Trials, others: Trials, plan: Plan, denser: Sequence[Plan], factor: float, most: int
) -> Iterator[tuple[str, float, np.ndarray]]:
    """Each way to add full steps: its name, how many an image gets, and the PSNR of the images."""
    steps = trials.settings["num_inference_steps"]
    full, count = full_steps(plan, steps), len(trials.requests)
    expected = usual_errors(others, plan, full)
    plain = [Guard(set(full), expected) for _ in range(count)]
    alone = run(trials, plan, plain)
    yield f"the plan's; {signal(plain, alone)}", 0.0, alone
    guards = [Guard(set(full), expected, factor, most) for _ in range(count)]
    yield "guarded", *added(guards, full, run(trials, plan, guards))
    shifted = [Guard(set(guards[(number + count // 2) % count].full)) for number in range(count)]
    yield "the same, for other images", *added(shifted, full, run(trials, plan, shifted))
    for other in denser:
        alike = [Guard(full_steps(other, steps)) for _ in range(count)]
        yield "more for every image", *added(alike, full, run(trials, other, alike))
    worst = set(np.argsort(alone)[: max(1, count // KNOWN)].tolist())
    for start in (0, min(step for step in full if step >= steps // 8)):
        known = [Guard(full | halves(full, start, MORE) if n in worst else set(full)) for n in range(count)]
        yield (
            f"for the worst fifth, if known, from step {start} on",
            *added(known, full, run(trials, plan, known)),
        )


def added(guards: Sequence[Guard], full: set[int], decibels: np.ndarray) -> tuple[float, np.ndarray]:
    return float(np.mean([len(guard.full) - len(full) for guard in guards])), decibels


def signal(guards: Sequence[Guard], decibels: np.ndarray) -> str:
    """How the excess of errors ranks the images, against how far they end from their full runs."""
    steps = sorted(guards[0].measured)
    excess = np.array([[guard.excess(step) for step in steps] for guard in guards])
    early, whole = (spearmanr(part.mean(1), -decibels)[0] for part in (excess[:, :EARLY], excess))
    return f"rank correlation {early:+.2f} from {EARLY} measurements, {whole:+.2f} from all"


def plans(pipe: Any, family: str, settings: dict[str, Any]) -> Iterator[tuple[str, Plan, list[Plan]]]:
    """Plans to guard, each with those that spend one or two full steps more on every image."""
    call = dict(settings)
    steps = call.pop("num_inference_steps")
    few = int(steps / 3.5)
    texts = [one.caption.text for one in fresh_captions(8)]
    costs = (steps / few, steps / (few + 1))
    first, *others = mmcache.calibrate(pipe, texts, costs=costs, steps=steps, batch=8, **call).plans.values()
    yield "calibrated, 3.5x", first, others
    fast = find_plan("fast", family)
    full = full_steps(fast, steps)
    masks = [mmcache.StepMask(sorted(full | halves(full, 0, more))) for more in (1, 2)]
    yield "`fast`", fast, [Plan(mask, fast.forecast, fast.branch) for mask in masks]


def main(
    miniature: Annotated[str, typer.Option(help="text-to-image or transformer.")] = WHOLE,
    count: Annotated[int, typer.Option(min=4, help="Captions that judge.")] = 32,
    expected: Annotated[int, typer.Option(min=2, help="Other captions, for the usual errors.")] = 16,
    steps: Annotated[int, typer.Option(min=16)] = 50,
    guidance_scale: float = GUIDANCE_SCALE,
    factor: Annotated[float, typer.Option(min=1)] = 1.5,
    most: Annotated[int, typer.Option(min=1, help="Full steps that the guard may add to an image.")] = 2,
    batch: Annotated[int, typer.Option(min=1)] = 8,
    out: Annotated[Path | None, typer.Option(help="Write the figures here, as JSON.")] = None,
) -> None:
    """Measure what a guard gives, on a CPU."""
    pipe = miniature_to_measure(miniature, "cpu")
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    texts = captions_of(WHOLE, EXPECTED_FROM + expected)
    settings = {**SHIPPED[miniature].call, "guidance_scale": guidance_scale, "num_inference_steps": steps}
    trials = Trials(pipe, image_requests(texts[:count], 1, FIRST_SEED), settings, batch)
    others = Trials(pipe, image_requests(texts[EXPECTED_FROM:], 1, EXPECTED_SEED), settings, batch)
    console, found = Console(), []
    for name, plan, denser in plans(pipe, FAMILIES[miniature], settings):
        console.print(
            f"{miniature}, {name}, guidance {guidance_scale:g}\n{HEADER}", soft_wrap=True, markup=False
        )
        for way, more, decibels in study(trials, others, plan, denser, factor, most):
            one = line(way, more, decibels)
            tenth = float(np.sort(decibels)[: max(1, count // 10)].mean())
            figures = f"{one.psnr.value:.1f} ± {one.psnr.margin:.1f} | {tenth:.1f} | {one.worst:.1f}"
            console.print(f"| {way} | {more:.2f} | {figures} |", soft_wrap=True, markup=False)
            found.append({"plan": name, "way": way, "more": more, "psnr": decibels.tolist()})
            if out:
                out.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    typer.run(main)
