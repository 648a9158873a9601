"""`mmcache check`: what a model would gain, and what will be refused, from its config files alone."""

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from mmcache.api.checks import STEPS_THAT_DO_NOT_FOLLOW_EACH_OTHER, check_fits
from mmcache.api.plan_choice import PlanChanges, choose_plans
from mmcache.api.resolved_pipeline import BARE, resolve
from mmcache.architectures.adapter import Adapter, default_plan
from mmcache.architectures.example_call import USUAL, Size
from mmcache.architectures.registry import adapter_for
from mmcache.clocks.clock import StepClock
from mmcache.engine.few_steps import FEW_STEPS
from mmcache.plans.branch import NOTHING
from mmcache.plans.plan import Plan
from mmcache.plans.policy import Adaptive
from mmcache.plans.presets import USUAL as USUAL_PRESET
from mmcache.plans.presets import find_plan, presets
from mmcache.tools.inspecting.inspection import Inspection, inspect_denoiser
from mmcache.tools.inspecting.model_parts import ModelParts
from mmcache.tools.tasks.tasks import TASKS

MEASURED, BORROWED, UNMEASURED, OWN = "measured", "borrowed", "not measured", "given"
NOISY = ("Ancestral", "DDPM", "SDE", "LCM", "TCD")  # in the names of samplers that add noise at each step


@dataclass(frozen=True)
class PlanCheck:
    """A plan on one denoiser.

    Attributes:
        name: of the preset, or as it was given.
        plan: in words.
        evidence: measured for this kind of pipeline, borrowed from another one, ...
        full_steps: of the run; None where the run itself decides.
        fewer_macs: how many times fewer multiply-adds; None where they cannot be counted.
        refused: why it will be; "" where it fits.
    """

    name: str
    plan: str
    evidence: str
    full_steps: int | None
    fewer_macs: float | None
    refused: str = ""


@dataclass(frozen=True)
class DenoiserCheck:
    """One denoiser.

    Attributes:
        name: in its pipeline.
        kind: its class.
        adapter: what describes it; "" if nothing does.
        plans: the presets, the default plan among them, and the one that was given.
        notes: sentences.
    """

    name: str
    kind: str
    adapter: str
    plans: tuple[PlanCheck, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ModelCheck:
    """A model, looked at without its weights.

    Attributes:
        model: as it was named.
        pipeline: the name of its class; "" for a denoiser alone.
        task: of `--task`; "" for text to image.
        sampler: the name of its class; "" if it is not known.
        steps: that are asked for.
        sampler_steps: that the sampler then runs.
        denoisers: of the pipeline.
        refused: what will be refused whatever the plan is.
        notes: what else there is to know.
    """

    model: str
    pipeline: str
    task: str
    sampler: str
    steps: int
    sampler_steps: int
    denoisers: tuple[DenoiserCheck, ...]
    refused: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether something can be cached."""
        return not self.refused and self.recommended is not None

    @property
    def recommended(self) -> tuple[DenoiserCheck, PlanCheck] | None:
        """The default preset of the first denoiser that takes it."""
        plans = [(one, plan) for one in self.denoisers for plan in one.plans if not plan.refused]
        given = [pair for pair in plans if pair[1].evidence == OWN]
        usual = [pair for pair in plans if pair[1].name == USUAL_PRESET]
        return next(iter([*given, *usual, *plans]), None)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"fits": self.fits}


def check_model(
    model: str, parts: ModelParts, *, steps: int = 50, size: Size = USUAL, plan: str | None = None
) -> ModelCheck:
    """Check a model's config against its adapter, the presets and a plan.

    Args:
        model: as it was named.
        parts: of it; its sampler is the one that will be used.
        steps: `num_inference_steps`.
        size: of the denoiser's call.
        plan: a preset or plan file to check too.

    Raises:
        ValueError: the denoiser cannot have this size.
        PlanFileError: no such preset or file, or not a plan.
    """
    total = steps_of(parts.sampler, steps)
    found = [check_denoiser(name, one, parts, total, size, plan) for name, one in parts.denoisers.items()]
    found += [
        DenoiserCheck(name, kind, "", notes=(f"no adapter for {kind}: it runs in full",))
        for name, kind in parts.unknown.items()
    ]
    refused = [*parts.problems, *unusable(parts)]
    if not parts.denoisers:
        refused.append(
            "no denoiser with an adapter; mmcache.general_adapter(model) infers one for a transformer, and "
            'branch="none" needs none'
        )
    sampler = type(parts.sampler).__name__ if parts.sampler is not None else ""
    return ModelCheck(
        model=model,
        pipeline=parts.pipeline,
        task=next((task.name for task in TASKS if task.argument and task.argument in parts.call), ""),
        sampler=sampler,
        steps=steps,
        sampler_steps=total,
        denoisers=tuple(found),
        refused=tuple(refused),
        notes=tuple(notes_of(sampler, total)),
    )


def steps_of(sampler: Any, steps: int) -> int:
    """How many steps a sampler runs when it is asked for so many: Heun and PNDM run more."""
    if sampler is None:
        return steps
    try:
        used = copy.deepcopy(sampler)
        used.set_timesteps(steps)
        return len(used.timesteps)
    except Exception:  # some need more than the number, such as the size of the image
        return steps


def unusable(parts: ModelParts) -> list[str]:
    """Why the pipeline's steps cannot be cached, whatever its denoiser is."""
    return [
        f"{parts.pipeline} {reason}"
        for argument, reason in STEPS_THAT_DO_NOT_FOLLOW_EACH_OTHER.items()
        if argument in parts.call
    ]


def notes_of(sampler: str, total: int) -> list[str]:
    notes = []
    if total <= FEW_STEPS:
        notes.append(f"{total} steps leave little to reuse: take interval 2, or no cache")
    if any(word in sampler for word in NOISY):
        notes.append(f"{sampler} adds noise at each step: presets hold by themselves where that is better")
    return notes


def check_denoiser(
    name: str, model: nn.Module, parts: ModelParts, total: int, size: Size, plan: str | None
) -> DenoiserCheck:
    """Check the plans of one denoiser."""
    adapter = adapter_for(model)
    assert adapter is not None  # as `ModelParts` says
    kind = type(model).__name__
    if not adapter.branches(model) and not adapter.output_alone:
        return DenoiserCheck(name, kind, adapter.name, notes=(f"{kind} {adapter.refused}",))
    figures = inspect_denoiser(name, model, adapter, size)
    plans = [
        PlanCheck(
            label,
            str(one),
            evidence,
            full_steps(one, total),
            fewer_macs(one, total, figures),
            refusal(model, one, total),
        )
        for label, one, evidence in plans_of(adapter, parts, plan)
    ]
    return DenoiserCheck(name, kind, adapter.name, tuple(plans), (figures.note,) if figures.note else ())


def plans_of(adapter: Adapter, parts: ModelParts, given: str | None) -> list[tuple[str, Plan, str]]:
    """The name, plan and evidence of each plan that there is for a denoiser."""
    task = next((own for argument, own in adapter.tasks.items() if argument in parts.call), "")
    family = task or adapter.family
    shown = family or adapter.fallback_presets
    words = f"{MEASURED} ({family})" if family else f"{BORROWED} ({shown})"
    found = [] if family else [("(default)", default_plan(adapter, family), UNMEASURED)]
    found += [(name, find_plan(name, shown), words) for name in presets(shown)]
    if given is not None and given not in presets(shown):
        found.append((given, find_plan(given, shown), OWN))
    return found


def refusal(model: nn.Module, plan: Plan, total: int) -> str:
    """Why `accelerate` would refuse the plan; "" if it takes it."""
    try:
        plan.check_total(total)
        resolved = resolve(model)
        check_fits(choose_plans({BARE: plan}, resolved, PlanChanges()), resolved)
    except ValueError as error:
        return str(error)
    made_for = plan.calibrated_for
    if made_for is not None and made_for.denoiser != type(model).__name__:
        return f"it was calibrated for another class, {made_for.denoiser}"
    return ""


def schedule(plan: Plan, total: int) -> Sequence[bool]:
    """Which steps of a run are full."""
    return [
        plan.policy.is_full(StepClock(0, step, total, 0.0), None)  # type: ignore[arg-type]
        for step in range(total)
    ]


def full_steps(plan: Plan, total: int) -> int | None:
    return None if isinstance(plan.policy, Adaptive) else sum(schedule(plan, total))


def fewer_macs(plan: Plan, total: int, figures: Inspection) -> float | None:
    """How many times fewer multiply-adds a run takes than one in full."""
    if figures.full_macs is None or isinstance(plan.policy, Adaptive):
        return None
    cached = {one.branch: one.macs for one in figures.branches} | {NOTHING: 0}
    steps = [
        figures.full_macs if full else cached.get(plan.branch_at(step))
        for step, full in enumerate(schedule(plan, total))
    ]
    known = [macs for macs in steps if macs is not None]
    return figures.full_macs * total / sum(known) if len(known) == total else None
