"""Denoisers that no adapter describes: nothing is known of their layers, so only their output is forecast.

It serves every model that can be called: one without an adapter, compiled by others, exported, quantised.
"""

from collections.abc import Callable
from typing import Any, NoReturn

from torch import nn

from mmcache.architectures.adapter import UNMEASURED, Adapter
from mmcache.architectures.component import argument_names

TIMES = ("timestep", "timesteps", "t", "time", "sigma")  # arguments by which a denoiser is known
SAMPLES = ("hidden_states", "sample", "latents", "x")


class Undescribed:
    """The layout of a model whose layers nobody has described: it has no branch that keeps some of them."""

    refusal = "has no adapter"

    def branches(self, model: nn.Module) -> int:
        return 0

    def cut(self, model: nn.Module, branch: int) -> NoReturn:
        """Refuse.

        Raises:
            ValueError: always: the model has no branch.
        """
        raise ValueError(
            f"branch={branch}: this {type(model).__name__} has no adapter, so it has no branches"
        )


class FunctionDenoiser(nn.Module):
    """A denoiser that is no module: a function, or a session of another runtime.

        denoiser = mmcache.FunctionDenoiser(session.run)
        mmcache.accelerate(denoiser, branch="none", scheduler=scheduler)

    Args:
        function: called with whatever the denoiser is called with.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)


def time_argument(model: nn.Module) -> str | None:
    """The argument that holds the time; None where no name shows it."""
    names = argument_names(model)
    return next((name for name in TIMES if name in names), None)


def sample_argument(model: nn.Module) -> str | None:
    """The argument that holds the noisy latent: by its name, or the first one; None where none has a name."""
    names = argument_names(model)
    return next((name for name in SAMPLES if name in names), names[0] if names else None)


def undescribed_adapter(model: nn.Module) -> Adapter:
    """What stands for an adapter where there is none."""
    return Adapter(
        name="no adapter",
        denoisers=(type(model).__name__,),
        layout=Undescribed(),
        default_plan=UNMEASURED,
        sample=sample_argument(model) or "",
        timestep=time_argument(model),
        undescribed=True,
    )
