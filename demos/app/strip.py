"""The step strip: a bar for each sampling step, as tall as the work it takes, in the colour of what ran."""

from collections.abc import Sequence
from typing import NamedTuple

from mmcache.api.report import DenoiserReport
from mmcache.plans.branch import NOTHING, branch_name
from mmcache_demos.app.markup import join, text

USUAL_SHARE = 0.15  # of a full step's work: how tall a cached step is where its share is not known


class Bar(NamedTuple):
    """A step.

    Attributes:
        branch: that ran; None for a full step.
        share: of a full step's work.
    """

    branch: int | None
    share: float

    @property
    def kind(self) -> str:
        return "full" if self.branch is None else "cached"


def bar(branch: int | None, share: float | None = None) -> Bar:
    """A step whose share of the work may not be known."""
    usual = 0.0 if branch == NOTHING else USUAL_SHARE
    return Bar(branch, 1.0 if branch is None else share or usual)


def bars_of(report: DenoiserReport) -> list[Bar]:
    """The steps of a run that is over; where a step has several calls, the first."""
    return [
        bar(step.branch, step.macs / step.full_macs if step.macs and step.full_macs else None)
        for step in report.steps
        if step.lane == 0
    ]


def strip(bars: Sequence[Bar], total: int = 0) -> str:
    """The strip as HTML.

    Args:
        bars: of the steps that are known.
        total: how many steps there will be; those that are not known yet are empty.
    """
    empty = "<i></i>" * max(0, total - len(bars))
    drawn = join(
        f'<i class="{one.kind}" style="--share:{one.share:.3f}" title="{text(words(index, one))}"></i>'
        for index, one in enumerate(bars)
    )
    return f'<span class="mm-strip" role="img" aria-label="{text(summary(bars))}">{drawn}{empty}</span>'


def words(index: int, one: Bar) -> str:
    """step 3: cached at branch 0."""
    return f"step {index + 1}: " + (
        "full" if one.branch is None else f"cached at branch {branch_name(one.branch)}"
    )


def summary(bars: Sequence[Bar]) -> str:
    """50 steps: 17 full, 33 cached at branch 0."""
    cached = [one.branch for one in bars if one.branch is not None]
    branches = ", ".join(str(branch_name(branch)) for branch in sorted(set(cached)))
    ending = f", {len(cached)} cached at branch {branches}" if cached else ""
    return f"{len(bars)} steps: {len(bars) - len(cached)} full{ending}"
