"""What mmcache has to know about an architecture: data, no behaviour of its own."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from mmcache.cut import Cut
from mmcache.plan import Plan


@dataclass(frozen=True)
class Adapter:
    """One architecture.

    Attributes:
        name: how reports and messages call it.
        denoisers: the model classes it describes, by name; subclasses are included.
        cut: makes the cut of a model at a branch; raises ValueError for a branch it does not have.
        branches: how many branches a model has.
        default_plan: what `accelerate(pipe)` does; its `evidence` names the measurement.
        sample: the argument of `forward` that holds the noisy latent.
        timestep: the argument of `forward` that holds the timestep.
    """

    name: str
    denoisers: tuple[str, ...]
    cut: Callable[[nn.Module, int], Cut]
    branches: Callable[[nn.Module], int]
    default_plan: Plan
    sample: str = "sample"
    timestep: str = "timestep"
