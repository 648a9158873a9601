"""Adapters of diffusion transformers: stacks of blocks that hand streams (hidden states) to one another."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from torch import nn

from mmcache.architectures.adapter import Adapter
from mmcache.architectures.example_call import ExampleCall
from mmcache.errors import UnsupportedPipelineError
from mmcache.layouts.block_stack import BlockStack
from mmcache.plans.forecast import Taylor
from mmcache.plans.plan import Plan
from mmcache.plans.policy import Uniform

UNMEASURED = Plan(
    Uniform(3),
    Taylor(1),
    branch=0,
    evidence="that of the image transformer; no trained model of this kind ships with mmcache to measure it "
    "on",
)

IMAGE_TRANSFORMER = "image-transformer"  # the family whose presets were measured on one that was trained

# What most blocks hand on, in the order in which they return it.
HIDDEN = ("hidden_states",)
HIDDEN_TEXT = ("hidden_states", "encoder_hidden_states")
TEXT_HIDDEN = ("encoder_hidden_states", "hidden_states")


def transformer(
    name: str,
    *denoisers: str,
    streams: Mapping[str, tuple[str, ...]],
    sample: str = "hidden_states",
    timestep: str | None = "timestep",
    per_step: tuple[str, ...] = (),
    family: str = "",
    data_dependent: bool = False,
    example_call: ExampleCall | None = None,
    **layout: Any,
) -> Adapter:
    """The adapter of transformer classes that are built alike.

    Args:
        name: how reports and messages call it.
        denoisers: the model classes it describes, by name.
        streams: by list of blocks, in the order in which the model runs the lists, the arguments of a block
            that it hands on, in the order in which it returns them.
        sample, timestep, per_step, family, data_dependent, example_call: as in `Adapter`.
        **layout: what else there is to say of a `BlockStack`.
    """
    return Adapter(
        name,
        denoisers,
        BlockStack(streams, **layout),
        UNMEASURED,
        sample=sample,
        timestep=timestep,
        per_step=per_step,
        family=family,
        fallback_presets=IMAGE_TRANSFORMER,
        data_dependent=data_dependent,
        example_call=example_call,
    )


@dataclass(frozen=True)
class Uncuttable:
    """The layout of models that cannot be cut right: they have no branch."""

    refusal: str

    def branches(self, model: nn.Module) -> int:
        return 0

    def cut(self, model: nn.Module, branch: int) -> NoReturn:
        """Refuse.

        Raises:
            UnsupportedPipelineError: always; the message says why.
        """
        raise UnsupportedPipelineError(f"{type(model).__name__} {self.refusal}")


def refused(name: str, *denoisers: str, reason: str) -> Adapter:
    """The adapter of classes that cannot be cut right: `accelerate` says the reason, behind the class."""
    return Adapter(name, denoisers, Uncuttable(reason), UNMEASURED, output_alone=False)
