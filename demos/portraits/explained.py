"""python -m mmcache_demos.portraits.explained: the plots that explain caching, of the U-Net miniature.

`steps.png` shows what ran at each step under four presets, `forecast.png` what a cached step gets in place of
a deep feature. The U and the stack are made by `mmcache inspect --plot`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer

from mmcache import Forecast, Hold, Plan, Taylor, Uniform, accelerate
from mmcache.plans.forecast import Feature, Observation
from mmcache.tools.inspecting.canvas import DEEP, FEATURE, INK, KEPT
from mmcache.tools.media.plots import empty_canvas, png_bytes
from mmcache_demos import GUIDANCE_SCALE, load_miniature

PROMPT = "a person with long red hair, round glasses and a black hoodie, smiling, on a yellow background"
PRESETS = ("quality", "balanced", "fast", "turbo")
STEPS, INTERVAL = 50, 5
NUMBERS = 400  # of a feature, among which the one that moves most is shown
WIDTH, LETTERS = 5.0, 11  # inches and points: letters of 10 pixels on a phone, where a plot is 340 wide


def sample(pipe: Any) -> None:
    """One image from the same noise each time."""
    noise = torch.Generator().manual_seed(0)
    pipe(
        PROMPT,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE_SCALE,
        generator=noise,
        output_type="latent",
    )


def shares(pipe: Any, preset: str) -> list[float]:
    """The work of each step of a run as a share of a full step's."""
    with accelerate(pipe, preset) as session:
        sample(pipe)
        steps = session.report().denoisers[0].steps
    return [(step.macs or 0) / step.full_macs for step in steps if step.full_macs]


def plot_steps(pipe: Any) -> bytes:
    """A bar per step, as tall as its work; a row per preset."""
    figure = empty_canvas(figsize=(WIDTH, 5.6), layout="constrained")
    for axes, preset in zip(figure.subplots(len(PRESETS), sharex=True), PRESETS, strict=True):
        heights = shares(pipe, preset)
        colours = [KEPT if height == 1 else FEATURE for height in heights]
        axes.bar(range(1, len(heights) + 1), heights, color=colours, width=0.8)
        axes.set_yticks([])
        axes.set_ylim(0, 1.05)
        axes.spines[["top", "right", "left"]].set_visible(False)
        full = heights.count(1.0)
        words = f"{preset}: {full} full steps, {len(heights) / sum(heights):.2f}x fewer MACs"
        axes.set_title(words, loc="left", fontsize=LETTERS, color=INK)
        axes.tick_params(labelsize=LETTERS)
    axes.set_xlabel("sampling step\nblue: full, orange: cached; height: work", fontsize=LETTERS)
    return png_bytes(figure)


def features_of_full_run(pipe: Any) -> list[Observation]:
    """The deep feature of every step, with the sampler's time."""
    kept: list[Observation] = []

    def keep(clock: Any, lane: int, branch: int, feature: Feature) -> None:
        kept.append(Observation(clock.time, tuple(tensor.clone() for tensor in feature)))

    with accelerate(pipe, Plan(Uniform(1), Hold(), 0)) as session:
        session.denoisers["unet"].on_feature = keep
        sample(pipe)
    return kept


def forecasts(forecast: Forecast, seen: Sequence[Observation]) -> list[Feature]:
    """What each step has: its own feature where it is full, else a forecast from the full steps before it."""
    found = []
    for step, now in enumerate(seen):
        past = seen[: step + 1 : INTERVAL][-forecast.memory :]
        found.append(now.feature if step % INTERVAL == 0 else forecast.at(now.time, past, step))
    return found


def plot_forecast(pipe: Any) -> bytes:
    """One number of the deep feature over the run, and the whole feature's error, held and extrapolated."""
    seen = features_of_full_run(pipe)
    numbers = torch.stack([one.feature[0].flatten() for one in seen])
    chosen = numbers[:, : NUMBERS * 10 : 10].std(dim=0).argmax() * 10
    figure = empty_canvas(figsize=(WIDTH, 6.4), layout="constrained")
    above, below = figure.subplots(2, sharex=True)
    steps = np.arange(1, len(seen) + 1)
    above.plot(steps, numbers[:, chosen], color=DEEP, linewidth=6, label="full run")
    above.plot(steps[::INTERVAL], numbers[::INTERVAL, chosen], "o", color=KEPT, label="full steps")
    for forecast, label, colour in ((Hold(), "Hold()", FEATURE), (Taylor(1), "Taylor(1)", KEPT)):
        found = torch.stack([feature[0].flatten() for feature in forecasts(forecast, seen)])
        errors = (found - numbers).norm(dim=1) / numbers.norm(dim=1)
        above.plot(steps, found[:, chosen], color=colour, linewidth=1.2, label=label)
        below.plot(steps, 100 * errors, color=colour, linewidth=1.2, label=label)
    above.set_title("one number of the deep feature", loc="left", fontsize=LETTERS, color=INK)
    below.set_title("error of the whole feature, percent", loc="left", fontsize=LETTERS, color=INK)
    below.set_xlabel(f"sampling step; every {INTERVAL}th is full", fontsize=LETTERS)
    for axes in (above, below):
        axes.legend(frameon=False, ncols=2, fontsize=LETTERS)
        axes.tick_params(labelsize=LETTERS)
        axes.spines[["top", "right"]].set_visible(False)
    return png_bytes(figure)


def main(out: Annotated[Path, typer.Option(help="Folder of the plots.")] = Path("docs/figures")) -> None:
    """Sample five times and plot."""
    pipe = load_miniature("text-to-image")
    pipe.set_progress_bar_config(disable=True)
    out.mkdir(parents=True, exist_ok=True)
    for name, plot in {"steps": plot_steps, "forecast": plot_forecast}.items():
        (out / f"{name}.png").write_bytes(plot(pipe))


if __name__ == "__main__":
    typer.run(main)
