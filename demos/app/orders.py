"""What is run for a visitor, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from mmcache.plans.plan import Plan
from mmcache.tools.comparison.comparison import Comparison
from mmcache.tools.running.runner import Sampling
from mmcache_demos.app.watching import Frame

FULL, CACHED = "full", "cached"
PREVIEWS = 12  # of a run


@dataclass(frozen=True)
class Order:
    """What is run.

    Attributes:
        prompt, guidance: as the pipeline takes them.
        plan: how the cached run is cached; None for the recommended one.
        steps, seed, sampler: of both runs.
        call: further arguments of the pipeline.
        previews: how many images are shown on the way of each run.
    """

    prompt: str
    guidance: float
    plan: Plan | None
    steps: int
    seed: int
    sampler: str
    call: Mapping[str, Any]
    previews: int = 0


class FullRun(NamedTuple):
    """A full run, and what was shown of it on the way."""

    sampling: Sampling
    frames: tuple[Frame, ...] = ()


class Ran(NamedTuple):
    """What an order came to.

    Attributes:
        found: the comparison.
        frames: the images on the way, "full" and "cached".
    """

    found: Comparison
    frames: Mapping[str, tuple[Frame, ...]]

    @property
    def full(self) -> FullRun:
        return FullRun(self.found.full, self.frames[FULL])
