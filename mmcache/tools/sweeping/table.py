"""A sweep as tables: CSV for programs, Markdown for pages, and one for the terminal."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.text import Text

from mmcache.tools.comparison.comparison_table import file_lines
from mmcache.tools.quality.confidence import Mean
from mmcache.tools.sweeping.files import PLAN
from mmcache.tools.sweeping.recommendation import recommended, sentence
from mmcache.tools.sweeping.result import ConfigurationResult, Sweep
from mmcache.tools.tables import Column, FigureTable, FirstThatFits

NONE = "-"


def headings(sweep: Sweep) -> list[str]:
    """Of the columns that people read."""
    latents = ["latent error, last step"] if has_latents(sweep) else []
    return [
        "configuration",
        "fewer MACs",
        "speed-up",
        *(figure.title for figure in sweep.shown_figures),
        *latents,
    ]


def cells(sweep: Sweep, result: ConfigurationResult) -> list[str]:
    """One row of the same."""
    fewer = sweep.fewer_macs(result)
    faster = f"{sweep.speed_up(result):.2f}x"
    if sweep.clock_is_doubtful(result):
        faster = f"({faster})"
    row = [result.label, NONE if fewer is None else f"{fewer:.2f}x", faster]
    row += [mean_text(result.figures.get(figure.name), figure.digits) for figure in sweep.shown_figures]
    if has_latents(sweep):
        row.append(mean_text(result.latent_error[-1] if result.latent_error else None, 4))
    return row


def has_latents(sweep: Sweep) -> bool:
    return any(result.latent_error for result in sweep.results)


def mean_text(mean: Mean | None, digits: int) -> str:
    """With the margin, where it is known: 58.2 ± 2.3."""
    if mean is None:
        return NONE
    if mean.margin is None:
        return f"{mean.value:.{digits}f}"
    return f"{mean.value:.{digits}f} ± {mean.margin:.{digits}f}"


def explanation(sweep: Sweep) -> list[str]:
    """What the figures mean."""
    settings = sweep.settings
    where = f"{settings['environment']['dtype']} on {settings['environment']['device']}"
    samplers = " and ".join(settings["schedulers"])
    busy = any(sweep.clock_is_doubtful(result) for result in sweep.results)
    return [
        f"{settings['pipeline']}, {samplers}, {settings['steps']} steps, {sweep.image_words}, {where}. "
        "Each configuration against the full run from the same noise; means with 95 % confidence intervals. "
        f"Speed-up: wall time of whole calls, at most {settings['batch']} in one.",
        *(
            ["In brackets: more than the saved MACs explain, so the machine was busy elsewhere."]
            if busy
            else []
        ),
        *sweep.notes,
    ]


def markdown(sweep: Sweep) -> str:
    """For a page."""
    heads = headings(sweep)
    rows = [heads, ["---", *["---:"] * (len(heads) - 1)]]
    rows += [[*cells(sweep, result)] for result in sweep.results]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return "\n\n".join([table, *explanation(sweep), *advice(sweep)]) + "\n"


def terminal(sweep: Sweep) -> Group:
    """With the files below; where there is little space without margins, then without latents."""
    tables = [figure_table(sweep, margins=True)]
    tables += [figure_table(sweep, margins=False, latents=latents) for latents in (True, False)]
    below = [Text(text, style="dim") for text in explanation(sweep)]
    return Group(FirstThatFits(tables), *below, *file_lines(sweep.files), *map(Text, advice(sweep)))


def advice(sweep: Sweep) -> list[str]:
    """One line: what to take, why, and how."""
    found = recommended(sweep)
    if found is None:
        return []
    plans = [str(file) for file in sweep.files if file.name == PLAN]
    how = f" Use it: --plan {plans[0]}" if plans else f" Use it: --steps {found.result.steps}"
    return [sentence(sweep, found) + (how if sweep.files else "")]


def figure_table(sweep: Sweep, margins: bool, latents: bool = True) -> FigureTable:
    """The configurations, a line between their kinds."""
    heads = headings(sweep)[: None if latents or not has_latents(sweep) else -1]
    table = FigureTable([Column(head, words=not index) for index, head in enumerate(heads)])
    kind = None
    for result in sweep.results:
        if kind not in (None, result.kind):
            table.add_section()
        kind = result.kind
        row = cells(sweep, result)[: len(heads)]
        table.add_row(*(row if margins else [cell.partition(" ± ")[0] for cell in row]))
    return table


def csv_table(sweep: Sweep) -> str:
    """One row per configuration: its means, margins and costs as plain numbers."""
    figures = [figure.name for figure in sweep.figures]
    heads = ["configuration", "kind", "policy", "forecast", "branch", "interval", "steps", "full_calls"]
    heads += ["cached_calls", "macs", "fewer_macs", "seconds", "speed_up", "bytes_held"]
    for name in (*figures, "latent_error", "latent_cosine"):
        heads += [name, f"{name}_margin"]
    return written(heads, [csv_row(sweep, result, figures) for result in sweep.results])


def csv_row(sweep: Sweep, result: ConfigurationResult, figures: Sequence[str]) -> list[Any]:
    policy, forecast, branch = result.traits or ("", "", "")
    row: list[Any] = [
        result.label,
        result.kind,
        policy,
        forecast,
        branch.removeprefix("branch "),
        result.interval,
    ]
    row += [
        result.steps,
        result.full_calls,
        result.cached_calls,
        result.macs,
        sweep.fewer_macs(result),
    ]
    row += [result.seconds, sweep.speed_up(result), result.bytes_held]
    for name in figures:
        row += value_and_margin(result.figures.get(name))
    for steps in (result.latent_error, result.latent_cosine):
        row += value_and_margin(steps[-1] if steps else None)
    return row


def csv_latents(sweep: Sweep) -> str:
    """One row per configuration and step: the error of its latent. Steps are 0-based; -1 is the last one."""
    heads = ["configuration", "step", "relative_error", "relative_error_margin", "cosine", "cosine_margin"]
    rows = []
    for result in sweep.results:
        steps = range(len(result.latent_error)) if len(result.latent_error) > 1 else [-1]
        for step, error, cosine in zip(steps, result.latent_error, result.latent_cosine, strict=False):
            rows.append([result.label, step, *value_and_margin(error), *value_and_margin(cosine)])
    return written(heads, rows)


def value_and_margin(mean: Mean | None) -> list[float | None]:
    return [None, None] if mean is None else [mean.value, mean.margin]


def written(heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """An empty cell is a value that does not exist."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(rows)
    return text.getvalue()
