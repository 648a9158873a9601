"""What there is to say about an acceleration, each with a kind that code can ask for."""

from collections.abc import Container, Mapping
from typing import Any

from mmcache.api.resolved_pipeline import ResolvedPipeline, models_of
from mmcache.architectures.component import Component
from mmcache.architectures.registry import adapter_for, side_adapter_for
from mmcache.caller import warn
from mmcache.patching.pipeline_kinds import is_pipeline
from mmcache.plans.plan import Plan
from mmcache.plans.presets import presets


class Note(str):
    """A sentence for the report.

    Attributes:
        kind: what it is about: `runs_in_full`, `inferred_adapter`, `borrowed_preset`, `other_calibration`,
            `replaced_plan`, `replaced_model`, `every_step_full`, `paired_steps`, `conditioning_changed`,
            `untold_lanes`, `macs_unknown`, `verified`, `side_network_whole`, `few_steps`, `disabled` or
            `pipeline_gone`.
    """

    kind: str

    def __new__(cls, kind: str, text: str) -> "Note":
        note = super().__new__(cls, text)
        note.kind = kind
        return note


def inferred_adapters(pipeline: ResolvedPipeline) -> list[Note]:
    """Denoisers whose blocks were inferred."""
    return [
        Note(
            "inferred_adapter",
            f"{name} ({part.class_name}) has no adapter; {part.adapter.name}. The first full step verifies "
            f"the cut; if it is not right, every step is full",
        )
        for name, part in pipeline.denoisers.items()
        if part.adapter.inferred
    ]


def uncached_denoisers(pipe: Any, cached: Container[str]) -> list[Note]:
    """Models that are told the time, as denoisers are, but which are not among the cached ones, and why."""
    if not is_pipeline(pipe):
        return []
    notes = []
    for name, module in models_of(pipe).items():
        if name in cached:
            continue
        part = Component(name, module)
        adapter = adapter_for(part.model)
        if adapter is not None and not adapter.branches(part.model):
            notes.append(f"{name} ({part.class_name}) {adapter.refused}: it runs in full")
        is_side_network = (
            side_adapter_for(part.model) is not None or getattr(part.model, "nets", None) is not None
        )
        if "timestep" in part.parameters and adapter is None and not is_side_network:
            notes.append(f"{name} ({part.class_name}) has no adapter: it runs in full")
    return [Note("runs_in_full", text) for text in notes]


def borrowed_presets(plan: Any, pipeline: ResolvedPipeline, families: Mapping[str, str]) -> list[Note]:
    """Presets that are asked for by name, where none were measured for a denoiser."""
    return [
        Note(
            "borrowed_preset",
            f"{name}: the preset {asked!r} was measured for the family {part.adapter.fallback_presets!r}, "
            f"and on no {part.adapter.name}",
        )
        for name, part in pipeline.denoisers.items()
        for asked in [plan.get(name) if isinstance(plan, Mapping) else plan]
        if isinstance(asked, str) and asked in presets() and not families[name]
    ]


def other_calibrations(plans: Mapping[str, Plan], pipeline: ResolvedPipeline) -> list[Note]:
    """Calibrated plans that were made for something else; also as a warning.

    Raises:
        ValueError: one was made for another class of models.
    """
    notes = []
    for name, plan in plans.items():
        part = pipeline.denoisers[name]
        if plan.calibrated_for is None:
            continue
        if plan.calibrated_for.denoiser != part.class_name:
            raise ValueError(
                f"{name} is a {part.class_name}, and this plan was calibrated for another class, "
                f"{plan.calibrated_for.denoiser}: make one with mmcache.tune(pipe, prompts, speedup=...), or "
                f"take a preset."
            )
        scheduler = getattr(pipeline.clock_owner, "scheduler", None)
        if found := plan.calibrated_for.differences(part.model, scheduler):
            text = f"{name}: the plan was calibrated for {' and '.join(found)}; it was not measured here"
            notes.append(Note("other_calibration", text))
            warn(text)
    return notes
