"""Reports and sessions as a notebook shows them: the step strip, sums, and the steps on demand."""

from typing import TYPE_CHECKING

from mmcache.api.figures import format_bytes, format_macs
from mmcache.markup import Bar, block, listed, strip, summary, table, text
from mmcache.plans.preview import bar

if TYPE_CHECKING:
    from mmcache.api.report import DenoiserReport, Report
    from mmcache.api.session import Session

HEADS = ("step", "lane", "time", "ran", "MACs", "seconds", "held")


def bars_of(part: "DenoiserReport") -> list[Bar]:
    """The steps of a run that is over; where a step has several calls, the first."""
    return [
        bar(step.branch, step.macs / step.full_macs if step.macs and step.full_macs else None)
        for step in part.steps
        if step.lane == 0
    ]


def part_html(part: "DenoiserReport") -> str:
    """One denoiser, or side network."""
    head = f"<p>{text(part.name)} ({text(part.adapter)}): {text(part.plan)}</p>"
    if not part.steps:
        return f"{head}<p>{text(part.silence)}.</p>"
    bars = bars_of(part)
    rows = [
        (
            step.step,
            step.lane,
            f"{step.time:.1f}",
            f"{step.ran} (no fitting feature)" if step.cache_miss else step.ran,
            "?" if step.macs is None else format_macs(step.macs),
            f"{step.seconds:.4f}",
            format_bytes(step.bytes_held),
        )
        for step in part.steps
    ]
    steps = f"<details><summary>{text(summary(bars))}</summary>{table(rows, HEADS)}</details>"
    return f"{head}{strip(bars)}<p>{text(part.summary())}</p>{steps}"


def report_html(report: "Report") -> str:
    """A run: every part, then what there is to say."""
    return block(*map(part_html, report.parts), listed(report.notes))


def session_html(session: "Session") -> str:
    """A session, and what its last run did."""
    return f"<p><code>{text(repr(session))}</code></p>{report_html(session.report())}"
