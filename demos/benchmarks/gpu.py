"""python -m mmcache_demos.benchmarks.gpu: what caching saves on a GPU, for models of published shapes.

The models have random weights: what is timed is the denoiser, 50 DDIM steps of a batch of two, as guidance
asks for. Every plan's run is timed beside full runs of the same process, in turns; the ratio is that of the
medians.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import diffusers
import torch
import typer
from diffusers import DDIMScheduler
from diffusers.hooks import apply_group_offloading
from rich.console import Console
from rich.table import Table
from torch import nn

import mmcache
from mmcache_demos.paper.published_models import (
    STABLE_DIFFUSION,
    STABLE_DIFFUSION_XL,
    STABLE_VIDEO_DIFFUSION_XT,
    PublishedModel,
)

MODELS = {"sd15": STABLE_DIFFUSION, "sdxl": STABLE_DIFFUSION_XL, "svd": STABLE_VIDEO_DIFFUSION_XT}
BATCH = 2
TIMESTEPS = 1000  # of the noise schedule


@dataclass(frozen=True)
class Way:
    """How a denoiser is run.

    Attributes:
        prepare: from a model on the GPU to the callable that samples with it.
    """

    name: str
    prepare: Callable[[nn.Module], Any] = lambda model: model


def compiled(mode: str) -> Callable[[nn.Module], Any]:
    return lambda model: torch.compile(model, mode=mode, fullgraph=True)


def offloaded(level: str) -> Callable[[nn.Module], Any]:
    def prepare(model: nn.Module) -> nn.Module:
        apply_group_offloading(
            model.cpu(),
            onload_device=torch.device("cuda"),
            offload_device=torch.device("cpu"),
            offload_type=level,
            num_blocks_per_group=1 if level == "block_level" else None,
            use_stream=True,
        )
        return model

    return prepare


WAYS = {
    "eager": Way("eager"),
    "compile": Way("torch.compile", compiled("default")),
    "cuda-graphs": Way("torch.compile, CUDA graphs", compiled("reduce-overhead")),
    "block-offload": Way("group offload, a block each, streams", offloaded("block_level")),
    "leaf-offload": Way("group offload, leaves, streams", offloaded("leaf_level")),
}


@dataclass(frozen=True)
class Timing:
    """Seconds of a run under a plan, and what it saves.

    Attributes:
        seconds: median of a run.
        speedup: full run's seconds by these.
        fewer_macs: full run's multiply-adds by these.
        memory: most bytes that the GPU held during the run.
        error: root of the mean squared distance of the last latents to the full run's, by their deviation.
    """

    model: str
    way: str
    precision: str
    plan: str
    seconds: float
    speedup: float
    fewer_macs: float
    memory: int
    error: float


def build(model: PublishedModel, precision: torch.dtype) -> nn.Module:
    """The model with random weights on the GPU."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(precision)
    try:
        with torch.device("cuda"):
            torch.manual_seed(0)
            built: nn.Module = getattr(diffusers, model.denoiser)(**model.config)
    finally:
        torch.set_default_dtype(default)
    return built.eval().requires_grad_(False)


def inputs(shapes: Any, precision: torch.dtype) -> Any:
    """Random arguments of a call, a batch of two."""
    if isinstance(shapes, dict):
        return {name: inputs(shape, precision) for name, shape in shapes.items()}
    return torch.randn(BATCH, *shapes[1:], device="cuda", dtype=precision)


@torch.inference_mode()
def sample(denoiser: Any, scheduler: Any, call: dict[str, Any], steps: int) -> torch.Tensor:
    """The latents after a run of the scheduler; channels that the denoiser sees and does not return stay."""
    scheduler.set_timesteps(steps, device="cuda")
    latents = call["sample"].clone()
    rest = {name: value for name, value in call.items() if name != "sample"}
    channel = latents.ndim - 3
    for timestep in scheduler.timesteps:
        predicted = denoiser(latents, timestep, **rest, return_dict=False)[0]
        part, kept = latents.split(
            [predicted.shape[channel], latents.shape[channel] - predicted.shape[channel]], dim=channel
        )
        latents = torch.cat([scheduler.step(predicted, timestep, part).prev_sample, kept], dim=channel)
    return latents


def timed(run: Callable[[], torch.Tensor]) -> tuple[float, torch.Tensor]:
    torch.cuda.synchronize()
    started = time.perf_counter()
    latents = run()
    torch.cuda.synchronize()
    return time.perf_counter() - started, latents


def measure(
    model: PublishedModel,
    way: Way,
    precision: torch.dtype,
    plans: list[mmcache.Plan],
    steps: int,
    repeats: int,
) -> list[Timing]:
    """Times every plan beside the full run, in turns."""
    built = build(model, precision)
    denoiser = way.prepare(built)
    call = inputs(dict(model.arguments), precision)
    scheduler: Any = DDIMScheduler(clip_sample=False)

    def run() -> torch.Tensor:
        return sample(denoiser, scheduler, call, steps)

    run()  # compiles, fills caches
    found = []
    for plan in plans:
        full, ours, peak = [], [], 0
        with mmcache.accelerate(denoiser, plan, scheduler=scheduler):
            run()
        for _ in range(repeats):
            seconds, reference = timed(run)
            full.append(seconds)
            with mmcache.accelerate(denoiser, plan, scheduler=scheduler) as session:
                torch.cuda.reset_peak_memory_stats()
                seconds, latents = timed(run)
                peak = torch.cuda.max_memory_allocated()
                part = session.report().denoisers[0]
            ours.append(seconds)
        distance = (latents - reference).float().square().mean().sqrt() / reference.float().std()
        found.append(
            Timing(
                model.name,
                way.name,
                str(precision).removeprefix("torch."),
                str(plan),
                median(ours),
                median(full) / median(ours),
                (part.full_macs or 0) / (part.macs or 1),
                peak,
                float(distance),
            )
        )
    return found


def main(
    models: Annotated[str, typer.Option(help="Of " + ", ".join(MODELS) + "; by commas.")] = "sd15,sdxl",
    ways: Annotated[str, typer.Option(help="Of " + ", ".join(WAYS) + "; by commas.")] = "eager",
    intervals: Annotated[str, typer.Option(help="Of full steps, by commas.")] = "1,3,5",
    precision: Annotated[str, typer.Option(help="float16, bfloat16 or float32.")] = "float16",
    steps: Annotated[int, typer.Option(min=2)] = 50,
    repeats: Annotated[int, typer.Option(min=1, help="Pairs of runs.")] = 3,
    out: Annotated[Path | None, typer.Option(help="Write the figures here, as JSON.")] = None,
) -> None:
    """Time cached runs beside full runs on a GPU."""
    if not torch.cuda.is_available():
        raise typer.BadParameter("this benchmark needs a GPU, and torch sees none")
    plans = [mmcache.Plan(mmcache.Uniform(int(one)), mmcache.Taylor(1)) for one in intervals.split(",")]
    table = Table("model", "way", "plan", "seconds", "speedup", "fewer MACs", "GPU memory", "error")
    rows = []
    for model in models.split(","):
        for way in ways.split(","):
            for row in measure(MODELS[model], WAYS[way], getattr(torch, precision), plans, steps, repeats):
                rows.append(row)
                table.add_row(
                    row.model,
                    row.way,
                    row.plan,
                    f"{row.seconds:.3f}",
                    f"{row.speedup:.2f}x",
                    f"{row.fewer_macs:.2f}x",
                    f"{row.memory / 2**30:.2f} GiB",
                    f"{row.error:.1e}",
                )
                print(row, flush=True)
            torch.compiler.reset()
            torch.cuda.empty_cache()
    Console().print(f"{torch.cuda.get_device_name()}, {precision}, {steps} DDIM steps, batch {BATCH}")
    Console().print(table)
    if out:
        out.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
