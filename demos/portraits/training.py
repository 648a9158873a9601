"""A training loop that can be stopped at any moment and goes on as if it had not been.

It knows nothing of what it trains: it is given a module and a function from the step to a loss.
All randomness of a step comes from the seed and the step's number, so a resumed run needs no
generator states and ends with the same weights as an uninterrupted one on the same machine.
"""

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn
from tqdm import tqdm

from mmcache_demos.portraits import workers

Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True)
class Recipe:
    """How long and how fast to train. The rate rises, stays, and falls to 0 in a straight line.

    Staying constant before the fall (Hägele et al., arXiv 2405.18392) lets a stopped run be
    resumed with another number of iterations.
    """

    iterations: int
    learning_rate: float
    batch: int = 16  # images of a step, over all processes
    warmup: int = 100  # iterations
    fall: float = 0.5  # share of the iterations
    weight_decay: float = 0.01
    clip: float = 1.0  # largest norm of the gradient
    ema: float = 0.998  # decay of the averaged weights
    seed: int = 0
    checkpoint_seconds: float = 120.0

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 0."""
        rising = (step + 1) / max(self.warmup, 1)
        falling = (self.iterations - step) / max(self.fall * self.iterations, 1)
        return self.learning_rate * min(1.0, rising, falling)

    def ema_decay(self, step: int) -> float:
        """Lower at first, so that the average forgets the random start."""
        return min(self.ema, (1 + step) / (10 + step))


def train(
    model: Model,
    loss: Callable[[int], torch.Tensor],
    recipe: Recipe,
    checkpoint: Path,
    after_checkpoint: Callable[[Model, int], None] = lambda averaged, step: None,
) -> Model:
    """Trains `model` in place and returns its averaged copy.

    Args:
        model: all parameters that are trained, on their device.
        loss: from the step's number to a scalar; called under the step's own random seed, on a GPU with
            matrix products in bfloat16.
        checkpoint: the file to resume from, if it is there, and to write.
        after_checkpoint: called with the averaged copy and the step, e.g. to write previews.
    """
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, betas=(0.9, 0.99), weight_decay=recipe.weight_decay
    )
    averaged = copy.deepcopy(model).requires_grad_(False).eval()
    device = next(model.parameters()).device
    step = _resume(checkpoint, model, averaged, optimizer)
    saved_at = time.monotonic()
    model.train()
    with tqdm(
        total=recipe.iterations,
        initial=step,
        desc=checkpoint.stem,
        mininterval=2.0,
        disable=workers.rank() > 0,
    ) as progress:
        finished = step >= recipe.iterations
        while not finished:
            torch.manual_seed((recipe.seed * 1_000_003 + step) * workers.count() + workers.rank())
            for group in optimizer.param_groups:
                group["lr"] = recipe.rate(step)
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                value = loss(step)
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            workers.average_gradients(model)
            nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
            optimizer.step()
            _average(averaged, model, recipe.ema_decay(step))
            step += 1
            progress.update()
            if step % 10 == 0:
                progress.set_postfix(loss=f"{value.item():.4f}", refresh=False)
            finished = step >= recipe.iterations
            due = finished or time.monotonic() - saved_at > recipe.checkpoint_seconds
            if due and workers.rank() == 0:
                _save(checkpoint, model, averaged, optimizer, step)
                after_checkpoint(averaged, step)
                saved_at = time.monotonic()
    return averaged


@torch.no_grad()
def _average(averaged: nn.Module, model: nn.Module, decay: float) -> None:
    torch._foreach_lerp_(list(averaged.parameters()), list(model.parameters()), 1 - decay)


def _save(
    checkpoint: Path, model: nn.Module, averaged: nn.Module, optimizer: torch.optim.Optimizer, step: int
) -> None:
    state = {
        "model": model.state_dict(),
        "averaged": averaged.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
    }
    checkpoint.parent.mkdir(parents=True, exist_ok=True)
    unfinished = checkpoint.with_suffix(".unfinished")
    torch.save(state, unfinished)
    unfinished.replace(checkpoint)  # atomic: being stopped here never costs the checkpoint before


def _resume(checkpoint: Path, model: nn.Module, averaged: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    if not checkpoint.exists():
        return 0
    state = torch.load(checkpoint, map_location=next(model.parameters()).device, weights_only=True)
    model.load_state_dict(state["model"])
    averaged.load_state_dict(state["averaged"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"]


def averaged_weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    """The averaged weights that a checkpoint holds, on the CPU."""
    return torch.load(checkpoint, map_location="cpu", weights_only=True)["averaged"]
