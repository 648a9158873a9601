"""The paper's MACs beside ours, as a person reads them in a terminal."""

from rich.console import Group
from rich.text import Text

from mmcache.macs.conventions import EVERYTHING, PAPER
from mmcache.tools.tables import Column, FigureTable
from mmcache_demos.paper.reproduction import (
    BRANCHES,
    CONVENTIONS,
    GIGA,
    TERA,
    CountedRun,
    PaperComparison,
    StepMacs,
)


def paper_tables(found: PaperComparison) -> Group:
    """The rows of the paper, the cached steps by branch, and what there is to say about both."""
    title = Text("MACs of DeepCache's tables (arXiv 2312.00858): the mean over a run's steps", style="bold")
    below = Text("Full and cached steps by branch", style="bold")
    lines = [
        *(f"{one.name}: {one.counts}." for one in CONVENTIONS),
        *(
            f"{model.name}: the paper's program overlooks {' and '.join(model.overlooked)}; so do we."
            for model in dict.fromkeys(run.row.model for run in found.runs)
            if model.overlooked
        ),
        "All at batch 1 without guidance. Branches count from 0, in the paper from 1.",
    ]
    return Group(
        title,
        run_table(found),
        *(Text(f"note: {note}") for note in found.disagreements),
        below,
        branch_table(found),
        *(Text(line, style="dim") for line in lines),
    )


def run_table(found: PaperComparison) -> FigureTable:
    headings = ("N", "full steps", "branch", "paper prints", "counted so", "", "everything", "fewer")
    table = FigureTable([Column("model", words=True), *map(Column, headings)])
    last = None
    for run in found.runs:
        row = run.row
        if row.model is not last:
            table.add_section()
        last = row.model
        whole = row.interval == 1
        full = run.macs.full[EVERYTHING.name]
        table.add_row(
            row.model.name,
            "" if whole else str(row.interval),
            f"{run.full_steps} of {row.steps}",
            "" if whole else str(row.branch),
            f"{row.printed}G",
            f"{run.counted}G",
            verdict(run),
            f"{run.mean(EVERYTHING) / GIGA:.2f}G",
            "" if whole else f"{full / run.mean(EVERYTHING):.2f}x",
        )
    return table


def verdict(run: CountedRun) -> Text:
    return Text("equal", style="green") if run.agrees else Text("differs", style="red")


def branch_table(found: PaperComparison) -> FigureTable:
    headings = (*(f"branch {branch}" for branch in range(BRANCHES)), "full")
    words = (Column("model", words=True), Column("convention", words=True))
    table = FigureTable([*words, *map(Column, headings)])
    for model, macs in found.by_branch:
        table.add_section()
        table.add_row(model.name, *cells(macs, PAPER.name))
        table.add_row(model.name, *cells(macs, EVERYTHING.name))
    return table


def cells(macs: StepMacs, convention: str) -> list[str]:
    """The figures of a line, all in the unit of the first, so that they can be compared at sight."""
    figures = [step[convention] for step in (*macs.cached, macs.full)]
    unit, size = ("T", TERA) if figures[0] >= TERA else ("G", GIGA)
    return [convention, *(f"{figure / size:.2f}{unit}" for figure in figures)]
