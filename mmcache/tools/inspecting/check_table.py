"""A checked model as a person reads it in a terminal."""

from rich.console import Group
from rich.text import Text

from mmcache.plans.presets import USUAL
from mmcache.tools.inspecting.checking import OWN, DenoiserCheck, ModelCheck, PlanCheck
from mmcache.tools.tables import Column, FigureTable

COLUMNS = (
    Column("plan", words=True),
    Column("full steps"),
    Column("fewer MACs", style="green"),
    Column("evidence", words=True),
    Column("what it says", words=True),
)
CONFIG_ONLY = "Multiply-adds are of the denoiser, counted from its config; quality was not measured here."


def check_table(found: ModelCheck) -> Group:
    """The plans of each denoiser, what will be refused, and what to begin with."""
    kind = found.pipeline or "a denoiser alone"
    sampler = f", {found.sampler}" if found.sampler else ""
    more = f" ({found.sampler_steps} as the sampler runs them)" if found.sampler_steps != found.steps else ""
    title = Text(f"{found.model}: {kind}{sampler}, {found.steps} steps{more}", style="bold")
    parts = [part for one in found.denoisers for part in denoiser_parts(one, found.sampler_steps)]
    notes = [Text(f"note: {note}", style="dim") for note in found.notes]
    refused = [Text(f"Will be refused: {reason}", style="red") for reason in found.refused]
    return Group(title, *parts, *notes, *refused, Text(recommendation(found)))


def denoiser_parts(one: DenoiserCheck, total: int) -> list[Text | FigureTable]:
    """The heading, plans and notes of a denoiser."""
    known = f"known as {one.adapter}" if one.adapter else "not known"
    parts: list[Text | FigureTable] = [Text(f"{one.name}: {one.kind}, {known}")]
    if one.plans:
        table = FigureTable(COLUMNS)
        for plan in one.plans:
            table.add_row(plan.name, steps_text(plan, total), gain_text(plan), plan.evidence, plan.plan)
        parts.append(table)
    parts += [Text(f"{plan.name} will be refused: {plan.refused}") for plan in one.plans if plan.refused]
    return [*parts, *(Text(f"note: {note}", style="dim") for note in one.notes)]


def steps_text(plan: PlanCheck, total: int) -> str:
    return "?" if plan.full_steps is None else f"{plan.full_steps} of {total}"


def gain_text(plan: PlanCheck) -> str:
    if plan.refused:
        return "refused"
    return "?" if plan.fewer_macs is None else f"{plan.fewer_macs:.2f}x"


def recommendation(found: ModelCheck) -> str:
    """What to begin with, and what is not known yet."""
    chosen = found.recommended
    if chosen is None or found.refused:
        return "Nothing can be cached here."
    _, plan = chosen
    name = "" if plan.name in (USUAL, "(default)") else f', "{plan.name}"'
    gain = "" if plan.fewer_macs is None else f", {plan.fewer_macs:.2f}x fewer MACs"
    why = "the plan that was given" if plan.evidence == OWN else f"the default, {plan.evidence}"
    return f"Recommended: mmcache.accelerate(pipe{name}): {why}{gain}. {CONFIG_ONLY}"


def next_command(found: ModelCheck) -> str:
    """The command that measures what was recommended, in one line to be copied; "" where there is none."""
    if found.recommended is None or found.refused:
        return ""
    return f"Next: mmcache compare{task_option(found)} --model {found.model}"


def task_option(found: ModelCheck) -> str:
    """What `mmcache compare` has to be told of the pipeline; "" for text to image."""
    return f" --task {found.task}" if found.task else ""
