"""What mmcache has to know about an architecture: data, no behaviour of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from torch import nn

from mmcache.layouts.cut import Cut, Given
from mmcache.patching.swap import Swap
from mmcache.plans.forecast import Taylor
from mmcache.plans.plan import Plan
from mmcache.plans.policy import Uniform
from mmcache.plans.presets import USUAL, find_plan

UNMEASURED = Plan(
    Uniform(3),
    Taylor(1),
    branch=0,
    evidence="that of the image U-Net; no trained model of this class ships with mmcache to measure it on",
)


@dataclass(frozen=True)
class Adapter:
    """One architecture.

    Attributes:
        name: how reports and messages call it.
        denoisers: the model classes it describes, by name; subclasses are included.
        cut: makes the cut of a model at a branch; raises ValueError for a branch it does not have.
        branches: how many branches a model has.
        default_plan: what `accelerate(pipe)` does where no presets were measured.
        sample: the argument of `forward` that holds the noisy latent.
        timestep: the argument of `forward` that holds the timestep; None for a model that is not told.
        family: whose presets were measured on this architecture (a folder in `configs/`); "" if none were.
        borrows: whose presets serve where none were measured: the family that is most like it.
        tasks: families of tasks that have presets of their own, by the argument of the pipeline's call that
            shows the task (`mask_image` for inpainting).
        data_dependent: its forward looks at the contents of tensors, so multiply-adds cannot be counted from
            shapes; they are counted while the first call of each kind runs, which takes that call longer.
        described: False for an adapter that was inferred from a model (`mmcache.architectures.inference`):
            that its cut is right has to be shown on the first full step before anything is cached.
        refused: what is said of a model that has no branch, behind its name.
    """

    name: str
    denoisers: tuple[str, ...]
    cut: Callable[[nn.Module, int], Cut]
    branches: Callable[[nn.Module], int]
    default_plan: Plan = UNMEASURED
    sample: str = "sample"
    timestep: str | None = "timestep"
    family: str = ""
    borrows: str = "image"
    tasks: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    data_dependent: bool = False
    described: bool = True
    refused: str = (
        "has no deep part: all of its layers lie around its outermost skip connection, so a cached step "
        "would be a full one"
    )


@dataclass(frozen=True)
class SideAdapter:
    """A network beside the denoiser: called before it in each step, it gives residuals for the denoiser's
    skip connections or blocks.

    Attributes:
        name: how reports and messages call it.
        networks: the model classes it describes, by name; subclasses are included.
        cut: what to exchange in a model so that it computes only its first so many residuals; in place of
            the others it may return anything, or nothing.
        sample: the argument of `forward` that holds the noisy latent.
        timestep: the argument of `forward` that holds the timestep.
        strength: the argument of `forward` by which the residuals are multiplied.
        given: the residuals that a model gives, for denoisers with a rule which of their blocks gets which;
            None for a model that has to run whole.
    """

    name: str
    networks: tuple[str, ...]
    cut: Callable[[nn.Module, int], tuple[Swap, ...]]
    sample: str = "sample"
    timestep: str = "timestep"
    strength: str = "conditioning_scale"
    given: Callable[[nn.Module], Given | None] = lambda model: Given(())


def default_plan(adapter: Adapter, family: str) -> Plan:
    """What `accelerate(pipe)` does: the balanced preset of the family, where there is one."""
    return find_plan(USUAL, family) if family else adapter.default_plan
