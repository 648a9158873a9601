"""What a caching scheduler calls: whoever has placed it hears of its runs."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from mmcache.engine.run import Run
from mmcache.patching.forward_patch import Around


def nothing() -> None:
    """Nobody listens."""


def nothing_of(run: object) -> None:
    """Nobody listens."""


def nobody(model: nn.Module) -> None:
    """No deputy: every call is the owner's own."""


@dataclass(frozen=True)
class Callbacks:
    """What is called, in the thread that samples.

    Attributes:
        failed: when a call raises: a pipeline's other denoisers hold nothing more.
        begun: when a run has begun.
        left: with a run that is left for another one.
        deputy: gives what drives a call of a model in the scheduler's place, such as the scheduler of the
            pipeline that calls; None usually.
    """

    failed: Callable[[], None] = nothing
    begun: Callable[[], None] = nothing
    left: Callable[[Run], None] = nothing_of
    deputy: Callable[[nn.Module], Around | None] = nobody
