"""python -m mmcache_demos.benchmarks.controlnet_macs: what a ControlNet costs, whole and with caching.

Counted on Stable Diffusion v1.5's shape without weights (512 x 512 pixels, batch 1, no guidance), so it takes
seconds and the memory of neither model.
"""

from typing import Any

import torch
import typer
from diffusers import ControlNetModel, UNet2DConditionModel
from rich.console import Console
from rich.table import Table

from mmcache.api.figures import format_macs
from mmcache.architectures.registry import adapter_for, side_adapter_for
from mmcache.engine.side_scheduler import first_residuals
from mmcache.macs.count import count_macs, skip_branch
from mmcache_demos.benchmarks.controlnet_blocks import residuals_of

INTERVAL = 3


def main() -> None:
    """Count U-Net and ControlNet together, per branch, of a cached step and of a run."""
    with torch.device("meta"):
        unet: Any = UNet2DConditionModel(sample_size=64, cross_attention_dim=768)
        controlnet: Any = ControlNetModel(cross_attention_dim=768)
        call = {
            "sample": torch.empty(1, 4, 64, 64),
            "timestep": torch.empty(1),
            "encoder_hidden_states": torch.empty(1, 77, 768),
        }
        condition = {"controlnet_cond": torch.empty(1, 3, 512, 512)}
    adapter, side = adapter_for(unet), side_adapter_for(controlnet)
    assert adapter is not None
    assert side is not None

    full = count_macs(unet, call) or 0
    whole = count_macs(controlnet, call | condition) or 0
    table = Table("branch", "U-Net", "ControlNet", "cut", "of the step", "run, ControlNet whole", "run, cut")
    for branch in range(adapter.branches(unet)):
        small = count_macs(unet, call, skip_branch(adapter.cut, branch)) or 0
        needed = residuals_of(adapter.cut(unet, branch), controlnet)
        cut = count_macs(controlnet, call | condition, first_residuals(side, needed)) or 0
        runs = [f"{fewer(full + whole, small + part):.2f}x" for part in (whole, cut)]
        saved = f"{(cut - whole) / (small + whole):.0%}"
        table.add_row(str(branch), format_macs(small), format_macs(whole), format_macs(cut), saved, *runs)
    console = Console(highlight=False)
    console.print(
        "Stable Diffusion v1.5 with a ControlNet: a full step takes "
        f"{format_macs(full)} + {format_macs(whole)} MACs."
    )
    console.print(
        f"Cached steps by branch, and how many times fewer MACs a run at interval {INTERVAL} takes:"
    )
    console.print(table)


def fewer(full: int, cached: int) -> float:
    """How many times fewer MACs a run takes whose every third step is full."""
    return INTERVAL * full / (full + (INTERVAL - 1) * cached)


if __name__ == "__main__":
    typer.run(main)
