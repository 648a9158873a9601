"""python -m mmcache_demos.benchmarks.overhead: what mmcache itself costs on a cached step.

A U-Net of Stable Diffusion v1.5's shape with random weights (860 M parameters, 512 x 512 pixels, a batch
of two for guidance) is called in turns through an accelerated run and directly, with the same swaps in
place. The ratio of the two is the overhead of clock, policy, forecast and bookkeeping.
"""

import time
from statistics import median
from typing import Annotated, Any

import torch
import typer
from diffusers import DDIMScheduler, UNet2DConditionModel
from rich.console import Console

from mmcache.api.accelerate import accelerate
from mmcache.api.figures import format_bytes
from mmcache.layouts.cut import cached_view, filled, full_view
from mmcache.layouts.skip_unet import SkipUNet
from mmcache.plans.forecast import Hold


def stable_diffusion_unet() -> torch.nn.Module:
    """The U-Net of Stable Diffusion v1.5: 859.5 M parameters."""
    unet: Any = UNet2DConditionModel(sample_size=64, cross_attention_dim=768)
    return unet.eval()


def main(
    repeats: Annotated[int, typer.Option(min=1, help="Pairs of calls.")] = 15,
    branch: Annotated[int, typer.Option(min=0, help="Skip branch.")] = 0,
) -> None:
    """Time cached steps through mmcache and directly, in turns."""
    torch.manual_seed(0)
    unet = stable_diffusion_unet()
    scheduler: Any = DDIMScheduler()
    call = {"sample": torch.randn(2, 4, 64, 64), "encoder_hidden_states": torch.randn(2, 77, 768)}
    scheduler.set_timesteps(2 * repeats + 4)
    first, *timesteps = scheduler.timesteps

    with torch.inference_mode():
        cut = SkipUNet().cut(unet, branch)
        full_view(unet, [cut]).module(timestep=first, **call)
        smaller, feature = cached_view(unet, cut).module, cut.tap.take()

        def directly(timestep: torch.Tensor) -> float:
            with filled(cut.slot, feature):
                started = time.perf_counter()
                smaller(timestep=timestep, **call)
                return time.perf_counter() - started

        def through_mmcache(timestep: torch.Tensor) -> float:
            started = time.perf_counter()
            unet(timestep=timestep, **call)
            return time.perf_counter() - started

        with accelerate(
            unet, interval=len(scheduler.timesteps), branch=branch, forecast=Hold(), scheduler=scheduler
        ) as session:
            full = through_mmcache(first)
            directly(timesteps[0]), through_mmcache(timesteps[0])  # warm
            pairs = []
            for index in range(repeats):
                scheduler_step = timesteps[1 + index]
                # Who goes first alternates, so that a drift of the machine favours nobody.
                if index % 2:
                    alone = directly(scheduler_step)
                    pairs.append((through_mmcache(scheduler_step), alone))
                else:
                    pairs.append((through_mmcache(scheduler_step), directly(scheduler_step)))
            steps = session.report().denoisers[0].steps

    ratios = sorted(ours / alone for ours, alone in pairs)
    held = steps[-1].bytes_held
    console = Console()
    console.print(f"full step                {full:8.3f} s  {steps[0].macs or 0:,} MACs")
    console.print(f"cached step, directly    {median(alone for _, alone in pairs):8.3f} s")
    console.print(
        f"cached step, mmcache     {median(ours for ours, _ in pairs):8.3f} s  {steps[-1].macs or 0:,} MACs"
    )
    console.print(
        f"overhead, median of {repeats} pairs: {100 * (median(ratios) - 1):+.2f} % "
        f"({100 * (ratios[0] - 1):+.1f} to {100 * (ratios[-1] - 1):+.1f} %)"
    )
    console.print(f"held: {format_bytes(held)} in float32, {format_bytes(held // 2)} in float16")


if __name__ == "__main__":
    typer.run(main)
