"""What mmcache has to know about an architecture: data alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from torch import nn

from mmcache.architectures.example_call import ExampleCall
from mmcache.layouts.cut import Cut, Given
from mmcache.layouts.layout import Layout, SideLayout
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

# Arguments of a denoiser that are computed anew at every step, from the latent or from the time, by the names
# that diffusers has for them: they say nothing of what a call is conditioned on.
PER_STEP = frozenset(
    {
        "down_block_additional_residuals",
        "mid_block_additional_residual",
        "controlnet_block_samples",
        "controlnet_single_block_samples",
        "block_controlnet_hidden_states",
        "timestep_r",
        "r_timestep",
        "audio_timestep",
        "sigma",
        "audio_sigma",
    }
)


@dataclass(frozen=True)
class Adapter:
    """One architecture.

    Attributes:
        name: how reports and messages call it.
        denoisers: the model classes it describes, by name; subclasses are included.
        layout: where a model keeps its layers, and so how it becomes smaller (`SkipUNet`, `LevelUNet`,
            `BlockStack`, or any object with `branches`, `cut` and `refusal`).
        default_plan: what `accelerate(pipe)` does where no presets were measured.
        sample: the argument of `forward` that holds the noisy latent.
        timestep: the argument of `forward` that holds the timestep; None for a model that is not told.
        per_step: further arguments that are another at every step, such as the latent of a second stream. All
            others are conditioning: where one changes, the step is full.
        family: whose presets were measured on this architecture (a folder in `configs/`); "" if none were.
        fallback_presets: whose presets serve where none were measured: the family that is most like it.
        tasks: families of tasks that have presets of their own, by the argument of the pipeline's call that
            shows the task (`mask_image` for inpainting).
        data_dependent: its forward looks at the contents of tensors, so multiply-adds cannot be counted from
            shapes; they are counted while the first call of each kind runs, which takes that call longer.
        inferred: it was inferred from a model (`mmcache.architectures.inference`), so the first full step
            has to verify its cut before anything is cached.
        undescribed: it stands for a missing one: nothing is known of the layers, and only the model's output
            can be forecast.
        output_alone: a call does nothing but return its output, so it may be left out altogether.
        example_call: a usual call, of which `mmcache inspect` counts multiply-adds; None if none is known.
    """

    name: str
    denoisers: tuple[str, ...]
    layout: Layout
    default_plan: Plan = UNMEASURED
    sample: str = "sample"
    timestep: str | None = "timestep"
    per_step: tuple[str, ...] = ()
    family: str = ""
    fallback_presets: str = "image"
    tasks: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    data_dependent: bool = False
    inferred: bool = False
    undescribed: bool = False
    output_alone: bool = True
    example_call: ExampleCall | None = None

    @property
    def refused(self) -> str:
        """What is said of a model that has no branch, behind its name."""
        return self.layout.refusal

    def branches(self, model: nn.Module) -> int:
        """How many branches the model has."""
        return self.layout.branches(model)

    def cut(self, model: nn.Module, branch: int) -> Cut:
        """The cut of the model at a branch.

        Raises:
            ValueError: the model has no such branch.
        """
        return self.layout.cut(model, branch)


@dataclass(frozen=True)
class SideAdapter:
    """A network beside the denoiser: called before it in each step, it gives residuals for the denoiser's
    skip connections or blocks.

    Attributes:
        name: how reports and messages call it.
        networks: the model classes it describes, by name; subclasses are included.
        layout: where a network keeps its layers (`SideUNet`, `SideStack`, or any object with `cut` and
            `given`).
        sample: the argument of `forward` that holds the noisy latent.
        timestep: the argument of `forward` that holds the timestep.
        strength: the argument of `forward` by which the residuals are multiplied.
    """

    name: str
    networks: tuple[str, ...]
    layout: SideLayout
    sample: str = "sample"
    timestep: str = "timestep"
    strength: str = "conditioning_scale"

    def given(self, model: nn.Module) -> Given | None:
        """The residuals that a network gives; None for one that has to run whole."""
        return self.layout.given(model)

    def cut(self, model: nn.Module, residuals: int) -> tuple[Swap, ...]:
        """What to exchange in a network so that it computes only its first so many residuals."""
        return self.layout.cut(model, residuals)


def default_plan(adapter: Adapter, family: str) -> Plan:
    """What `accelerate(pipe)` does: the balanced preset of the family, where there is one."""
    return find_plan(USUAL, family) if family else adapter.default_plan
