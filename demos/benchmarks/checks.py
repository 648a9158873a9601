"""python -m mmcache_demos.benchmarks.checks: what the checks of a cached call cost, in CPU time.

Before it caches, mmcache looks at what a call is conditioned on, how its model is set, what its arguments
look like, and whether it is differentiated. Each check in turn is left out of every second call, which takes
its answer from the call before. Models are so small that Python is most of what a call takes.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Annotated, Any
from unittest.mock import patch

import torch
import typer
from diffusers import DDIMScheduler, PixArtTransformer2DModel, UNet2DConditionModel
from rich.console import Console
from rich.progress import track
from rich.table import Table

import mmcache
from mmcache.compat.model_settings import ModelSettings
from mmcache.engine import caching_scheduler
from mmcache.engine.conditioning import Conditionings

CHECKS: dict[str, tuple[tuple[Any, str], ...]] = {
    "conditioning": (
        (caching_scheduler, "conditioning_of"),
        (Conditionings, "number_of"),
        (Conditionings, "begin_step"),
    ),
    "settings of the model": ((ModelSettings, "number"),),
    "form of the call": ((caching_scheduler, "call_signature"),),
    "gradients": ((caching_scheduler, "wants_gradients"),),
}
CHECKS["all of these"] = tuple(one for functions in CHECKS.values() for one in functions)

WARM = 20  # calls that are not timed


def unet() -> tuple[torch.nn.Module, dict[str, Any]]:
    """Two levels with cross-attention, and the arguments of a call."""
    model: Any = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(32, 32),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        cross_attention_dim=32,
    )
    return model, {"sample": torch.randn(2, 4, 8, 8), "encoder_hidden_states": torch.randn(2, 4, 32)}


def transformer() -> tuple[torch.nn.Module, dict[str, Any]]:
    """Four blocks, and the arguments of a call."""
    model: Any = PixArtTransformer2DModel(
        sample_size=8,
        num_layers=4,
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=4,
        out_channels=4,
        cross_attention_dim=32,
        caption_channels=32,
    )
    return model, {"hidden_states": torch.randn(2, 4, 8, 8), "encoder_hidden_states": torch.randn(2, 4, 32)}


MODELS: dict[str, Callable[[], tuple[torch.nn.Module, dict[str, Any]]]] = {
    "U-Net": unet,
    "transformer": transformer,
}


@dataclass
class Check:
    """Whether a check is made; else it gives its answer of before."""

    made: bool = True

    @contextmanager
    def watched(self, functions: tuple[tuple[Any, str], ...]) -> Iterator[None]:
        with ExitStack() as stack:
            for owner, name in functions:
                stack.enter_context(patch.object(owner, name, self._remembering(getattr(owner, name))))
            yield

    def _remembering(self, function: Callable[..., Any]) -> Callable[..., Any]:
        answer: Any = None

        def check(*args: Any) -> Any:
            nonlocal answer
            if self.made:
                answer = function(*args)
            return answer

        return check


def costs(model: torch.nn.Module, call: dict[str, Any], check: str, pairs: int) -> tuple[float, float]:
    """Microseconds of a cached call with a check, and how many fewer it takes without: medians of pairs."""
    scheduler: Any = DDIMScheduler()
    scheduler.set_timesteps(2 * pairs + WARM)
    one, taken = Check(), []
    plan = mmcache.Plan(mmcache.StepMask([0, 1]), mmcache.Hold())
    with (
        torch.inference_mode(),
        mmcache.accelerate(model, plan, scheduler=scheduler) as session,
        one.watched(CHECKS[check]),
    ):
        for number, timestep in enumerate(scheduler.timesteps):
            # Of each pair every second time the other goes first, so that a drift favours neither.
            one.made = number < WARM or number % 4 in (0, 3)
            started = time.thread_time_ns()
            output = model(timestep=timestep.expand(2), **call)
            taken.append((time.thread_time_ns() - started) / 1000)
            scheduler.step(output[0], timestep, next(iter(call.values())))
        steps = session.report().denoisers[0].steps
    if sum(step.branch is None for step in steps) != 2:
        raise RuntimeError(f"without {check!r} other steps were cached; the times are not of the same calls")
    pairs_taken = list(zip(taken[WARM::2], taken[WARM + 1 :: 2], strict=True))
    ordered = [pair if number % 2 == 0 else pair[::-1] for number, pair in enumerate(pairs_taken)]
    return median(made for made, _ in ordered), median(made - left_out for made, left_out in ordered)


def main(pairs: Annotated[int, typer.Option(min=10, help="Pairs of calls.")] = 400) -> None:
    """Time cached calls with and without each check, in turns."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    table = Table("model", "check", "of a cached call, us", "the check, us")
    for name, make in MODELS.items():
        model, call = make()
        for check in track(CHECKS, name):
            whole, own = costs(model.eval(), call, check, pairs)
            table.add_row(name, check, f"{whole:.0f}", f"{own:.1f}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
