"""Adapters of diffusion transformers, most of them by one rule.

The rule: the main blocks are in lists of these names, in this order, and what they hand on is what their own
forward returns (`mmcache.layouts.block_streams`). A class that is built otherwise says in which way.
"""

from typing import Any

from torch import nn

from mmcache.architectures.adapter import Adapter
from mmcache.errors import UnsupportedPipelineError
from mmcache.layouts.block_stack import BlockStack
from mmcache.layouts.cut import Cut
from mmcache.plans.forecast import Taylor
from mmcache.plans.plan import Plan
from mmcache.plans.policy import Uniform

# Refiners of the text or of the noise have other names: they are few, and always run.
MAIN_LISTS = (
    "transformer_blocks",
    "joint_transformer_blocks",
    "double_blocks",
    "double_stream_blocks",
    "visual_transformer_blocks",
    "single_transformer_blocks",
    "single_stream_blocks",
    "blocks",
    "layers",
)

UNMEASURED = Plan(
    Uniform(3),
    Taylor(1),
    branch=0,
    evidence="that of the image transformer; no trained model of this kind ships with mmcache to measure it "
    "on",
)

IMAGE_TRANSFORMER = "image-transformer"  # the family whose presets were measured on one that was trained

TOO_SHORT = "has no deep part: with fewer than three blocks, the first and the last are all there is"


def transformer(name: str, *denoisers: str, timestep: str | None = "timestep", **layout: Any) -> Adapter:
    """The adapter of transformer classes that are built alike.

    Args:
        name: how reports and messages call it.
        denoisers: the model classes it describes, by name.
        timestep: the argument of `forward` that holds the timestep.
        **layout: what the rule does not see: `lists`, `streams`, ... of a `BlockStack`, and `sample`,
            `data_dependent` and `family` of an `Adapter`.
    """
    told: dict[str, Any] = {
        "sample": "hidden_states",
        "timestep": timestep,
        "borrows": IMAGE_TRANSFORMER,
        "refused": TOO_SHORT,
    }
    told |= {name: layout.pop(name) for name in ("sample", "data_dependent", "family") if name in layout}

    def stack(model: nn.Module) -> BlockStack:
        return BlockStack(**{"lists": main_lists(model)} | layout)

    def cut(model: nn.Module, branch: int) -> Cut:
        return stack(model).cut(model, branch)

    def branches(model: nn.Module) -> int:
        return stack(model).branches(model)

    return Adapter(name, denoisers, cut, branches, UNMEASURED, **told)


def refused(name: str, *denoisers: str, reason: str) -> Adapter:
    """The adapter of classes that cannot be cut right: it has no branch, and says why."""

    def cut(model: nn.Module, branch: int) -> Cut:
        raise UnsupportedPipelineError(f"{type(model).__name__} {reason}")

    return Adapter(name, denoisers, cut, branches=lambda model: 0, default_plan=UNMEASURED, refused=reason)


def main_lists(model: nn.Module) -> tuple[str, ...]:
    """Which of a model's lists hold its main blocks."""
    return tuple(name for name in MAIN_LISTS if len(getattr(model, name, ())) > 0)
