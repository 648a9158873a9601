"""DeepCache's MACs columns (arXiv 2312.00858) counted anew, in its convention and in ours.

The paper gives multiply-adds of a step, batch 1, without guidance, as the mean over a run in which every N-th
step is full.
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mmcache.architectures.registry import adapter_for
from mmcache.layouts.cut import cached_view, filled, full_view
from mmcache.macs.conventions import EVERYTHING, PAPER, Convention, paper_convention
from mmcache.macs.count import shapes_of, skeleton
from mmcache_demos.paper.printed_figures import PRINTED_RUNS, PrintedRun
from mmcache_demos.paper.published_models import (
    STABLE_DIFFUSION,
    STABLE_DIFFUSION_XL,
    STABLE_VIDEO_DIFFUSION_XT,
    PublishedModel,
)

GIGA, TERA = 10**9, 10**12
BRANCHES = 6  # are counted, the cheapest
BY_BRANCH = (STABLE_DIFFUSION, STABLE_DIFFUSION_XL, STABLE_VIDEO_DIFFUSION_XT)
INTERVALS = range(2, 21)  # of the paper

Macs = Mapping[str, int]
"""Multiply-adds by the convention's name."""

CONVENTIONS = (PAPER, EVERYTHING)


@dataclass(frozen=True)
class StepMacs:
    """What a full step takes, and a cached one at each branch."""

    full: Macs
    cached: tuple[Macs, ...]

    def mean(self, convention: Convention, steps: int, interval: int, branch: int) -> float:
        """Of a step of a run in which every `interval`-th is full: the first always is."""
        full = math.ceil(steps / interval)
        name = convention.name
        return (full * self.full[name] + (steps - full) * self.cached[branch][name]) / steps


def count_steps(model: PublishedModel) -> StepMacs:
    """Count in both conventions at once: one full call, and one cached call of each branch."""
    bare = skeleton(model.build())
    adapter = adapter_for(bare)
    assert adapter is not None
    cuts = [adapter.cut(bare, branch) for branch in range(BRANCHES)]
    as_in_paper = paper_convention(model.overlooked)

    def macs(view: nn.Module, call: dict[str, Any]) -> Macs:
        with torch.no_grad(), EVERYTHING.counting(view) as products, as_in_paper.counting(view) as layers:
            view(**shapes_of(call))
            return {EVERYTHING.name: products(), PAPER.name: layers()}

    call = model.call()
    full = macs(full_view(bare, cuts).module, call)
    small = []
    for cut in cuts:
        with filled(cut.slot, cut.tap.take()):
            small.append(macs(cached_view(bare, cut).module, cut.arguments(call)))
    return StepMacs(full, tuple(small))


@dataclass(frozen=True)
class CountedRun:
    """A row of the paper, and ours.

    Attributes:
        row: what the paper prints.
        macs: what its model takes.
    """

    row: PrintedRun
    macs: StepMacs

    @property
    def full_steps(self) -> int:
        return math.ceil(self.row.steps / self.row.interval)

    def mean(self, convention: Convention) -> float:
        return self.macs.mean(convention, self.row.steps, self.row.interval, self.row.branch)

    def at(self, interval: int, branch: int) -> float:
        """What the paper would count for another setting."""
        return self.macs.mean(PAPER, self.row.steps, interval, branch)

    def rounded(self, macs: float) -> str:
        """In 10^9, with as many digits as the paper prints."""
        decimals = len(self.row.printed.partition(".")[2])
        return f"{macs / GIGA:.{decimals}f}"

    @property
    def counted(self) -> str:
        """Ours in the paper's convention."""
        return self.rounded(self.mean(PAPER))

    @property
    def agrees(self) -> bool:
        """Whether every printed digit is ours."""
        return self.counted == self.row.printed

    def disagreement(self) -> str:
        """What else a row that does not agree could be."""
        row, branches = self.row, range(BRANCHES)
        interval, branch = min(
            itertools.product(INTERVALS, branches),
            key=lambda setting: abs(self.at(*setting) - float(row.printed) * GIGA),
        )
        others = ", ".join(self.rounded(self.at(row.interval, other)) for other in branches)
        return (
            f"{row.model.name}, N={row.interval}: the paper prints {row.printed}G and does not agree with "
            f"itself. The branch that it names, {row.branch} (its {row.branch + 1}), gives {self.counted}G; "
            f"at this N branches 0 to {BRANCHES - 1} give {others}G. Over N from {INTERVALS[0]} to "
            f"{INTERVALS[-1]} the nearest is {self.rounded(self.at(interval, branch))}G, at N={interval} and "
            f"branch {branch}."
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        row = self.row
        return {
            "model": row.model.name,
            "source": row.model.source,
            "overlooked_by_the_paper": row.model.overlooked,
            "steps": row.steps,
            "full_steps": self.full_steps,
            "interval": row.interval,
            "branch": row.branch,
            "printed_by_the_paper": f"{row.printed}G",
            "agrees": self.agrees,
            "mean_macs": {one.name: self.mean(one) for one in CONVENTIONS},
        }


@dataclass(frozen=True)
class PaperComparison:
    """All that `mmcache paper` shows.

    Attributes:
        runs: the paper's rows, and ours.
        by_branch: full and cached steps of the larger models.
    """

    runs: tuple[CountedRun, ...]
    by_branch: tuple[tuple[PublishedModel, StepMacs], ...]

    @property
    def disagreements(self) -> list[str]:
        return [run.disagreement() for run in self.runs if not run.agrees]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "conventions": {one.name: one.counts for one in CONVENTIONS},
            "runs": [run.as_dict() for run in self.runs],
            "disagreements": self.disagreements,
            "steps": [
                {"model": model.name, "source": model.source, "full": macs.full, "cached": macs.cached}
                for model, macs in self.by_branch
            ],
        }


def count_paper() -> PaperComparison:
    """Count every row of the paper, and cached steps by branch of the larger models; some seconds."""
    counted = {model: count_steps(model) for model in {*(row.model for row in PRINTED_RUNS), *BY_BRANCH}}
    return PaperComparison(
        tuple(CountedRun(row, counted[row.model]) for row in PRINTED_RUNS),
        tuple((model, counted[model]) for model in BY_BRANCH),
    )
