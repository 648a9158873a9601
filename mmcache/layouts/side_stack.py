"""The cut of a transformer's ControlNet: only its first blocks run, as far as the residuals are needed.

Such a network is a copy of the transformer's first blocks, one after another, with a residual behind each
(Chen et al., arXiv 2401.05252, section 3): what is behind the last residual that is needed can be left out
without any error.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from torch import nn

from mmcache.layouts.cut import Given
from mmcache.patching.swap import Swap, swap_child


@dataclass(frozen=True)
class SideStack:
    """Where a ControlNet keeps its blocks.

    Attributes:
        lists: the names of the lists, in the order in which they run and give their residuals.
        keys: the network's attribute that lists for which block of the transformer each residual is; "" where
            they are counted from 0 in each list.
        repeated: a child with which the residuals are dealt out in turn; "" if there is none.
        whole_if: entries of the config with which all blocks are needed for the first residual.
    """

    lists: tuple[str, ...]
    keys: str = ""
    repeated: str = ""
    whole_if: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def given(self, model: nn.Module) -> Given | None:
        """The residuals that the network gives; None where it cannot be cut."""
        config: Any = model.config
        if any(config.get(name) == value for name, value in self.whole_if.items()):
            return None
        repeated = bool(self.repeated) and getattr(model, self.repeated) is not None
        if self.keys:
            return Given((tuple(getattr(model, self.keys)),), repeated)
        return Given(tuple(range(len(getattr(model, name))) for name in self.lists), repeated)

    def cut(self, model: nn.Module, residuals: int) -> tuple[Swap, ...]:
        """Leave only the first `residuals` blocks: there are no residuals behind them.

        Raises:
            ValueError: the model has fewer residuals, or none are asked for.
        """
        blocks = sum(len(getattr(model, name)) for name in self.lists)
        if not 1 <= residuals <= blocks:
            raise ValueError(f"{residuals} residuals of a {type(model).__name__} that has {blocks}")
        swaps, left = [], residuals
        for name in self.lists:
            kept = list(getattr(model, name))[:left]
            left -= len(kept)
            swaps.append(swap_child(model, name, nn.ModuleList(kept)))
        if self.keys:
            swaps.append(Swap(model, "__dict__", self.keys, getattr(model, self.keys)[:residuals]))
        return tuple(swaps)
