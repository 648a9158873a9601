"""What an adapter's layout can be asked: how many branches a model has, and the cut at one of them."""

from typing import Protocol

from torch import nn

from mmcache.layouts.cut import Cut, Given
from mmcache.patching.swap import Swap

NO_DEEP_PART = (
    "has no deep part: all of its layers lie around its outermost skip connection, so a cached step would be "
    "a full one"
)


class Layout(Protocol):
    """Knows where a denoiser class keeps its layers, and so how a model of it becomes smaller."""

    @property
    def refusal(self) -> str:
        """What is said of a model that has no branch, behind its name."""
        ...

    def branches(self, model: nn.Module) -> int:
        """How many branches the model has."""
        ...

    def cut(self, model: nn.Module, branch: int) -> Cut:
        """Cut the model at a branch: 0 keeps the fewest layers.

        Raises:
            ValueError: the model has no such branch.
        """
        ...


class SideLayout(Protocol):
    """The same for a network beside the denoiser."""

    def given(self, model: nn.Module) -> Given | None:
        """The residuals that the network gives, for denoisers with a rule which of their blocks gets which.

        None for a network that has to run whole.
        """
        ...

    def cut(self, model: nn.Module, residuals: int) -> tuple[Swap, ...]:
        """Leave what the first so many residuals need; in place of the others anything may be returned.

        Raises:
            ValueError: the network has fewer residuals.
        """
        ...
