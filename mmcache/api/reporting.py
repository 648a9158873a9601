"""Makes the reports of a session, from what its schedulers have recorded."""

from collections.abc import Mapping, Sequence

from mmcache.api.bindings import Bindings
from mmcache.api.notes import Note
from mmcache.api.report import DenoiserReport, Report
from mmcache.api.resolved_pipeline import part_of
from mmcache.api.steps import Residuals, steps_of
from mmcache.api.totals import FinishedPart
from mmcache.engine.caching_scheduler import CachingScheduler
from mmcache.engine.few_steps import few_steps
from mmcache.engine.run import Run
from mmcache.engine.side_run import SideRun
from mmcache.engine.side_scheduler import SideScheduler
from mmcache.engine.step import CHANGED, UNSETTLED, UNTOLD
from mmcache.plans.plan import Plan

NOT_RECORDED = "The last run was a full run, and was not recorded"


class Reporting:
    """Makes reports; none of them holds a tensor, a model or a pipeline.

    Args:
        bindings: what drives the models.
        plans: of the denoisers, by name.
        notes: what there is to say about the acceleration, whatever the run.
    """

    def __init__(self, bindings: Bindings, plans: Mapping[str, Plan], notes: Sequence[Note]) -> None:
        self._bindings = bindings
        self._plans = plans
        self._notes = notes

    def of_last_run(self) -> Report:
        """A report of what every model did last."""
        return self._report(
            {name: scheduler.run for name, scheduler in self._bindings.denoisers.items()},
            self._bindings.side_networks,
        )

    def of(self, runs: Mapping[str, Run]) -> Report:
        """A report of some runs, by the names of their denoisers."""
        return self._report(runs, self._sides_of(runs))

    def parts(self, runs: Mapping[str, Run]) -> list[FinishedPart]:
        """The same for the sums: what is still to be counted."""
        denoisers = self._bindings.denoisers
        found = [FinishedPart(list(r.calls), denoisers[name].macs_later(r), True) for name, r in runs.items()]
        sides = [(side, side.past) for side in self._sides_of(runs).values()]
        return found + [
            FinishedPart(list(p.calls), s.macs_later(p), False) for s, p in sides if p is not None
        ]

    def _sides_of(self, runs: Mapping[str, Run]) -> dict[str, SideScheduler]:
        """The side networks that were called in these runs."""
        sides = self._bindings.side_networks
        return {n: side for n, side in sides.items() if side.past and side.past.run in runs.values()}

    def _report(self, runs: Mapping[str, Run], sides: Mapping[str, SideScheduler]) -> Report:
        scheduler_of = self._bindings.denoisers
        denoisers = tuple(self._denoiser(name, scheduler_of[name], run) for name, run in runs.items())
        notes = [Note("runs_in_full", remark)] if (remark := self._bindings.remark) else []
        for name, run in runs.items():
            notes += self._notes_of(name, scheduler_of[name], run)
        notes += [
            Note("side_network_whole", f"{name}: ran whole at every step: {side.why_whole}")
            for name, side in sides.items()
            if side.ran_whole_beside(scheduler_of[side.denoiser_name].run.calls)
        ]
        shown = tuple(self._side(name, side, side.past) for name, side in sides.items())
        return Report(denoisers, (*self._notes, *notes, *uncounted(denoisers)), shown)

    def _denoiser(self, name: str, scheduler: CachingScheduler, run: Run) -> DenoiserReport:
        adapter = scheduler.part.adapter.name
        if scheduler.passed:
            return DenoiserReport(name, adapter, "disabled", (), NOT_RECORDED)
        steps = steps_of(run.calls, scheduler.macs_of(run))
        return DenoiserReport(name, adapter, str(self._plans[name]), steps)

    def _side(self, name: str, side: SideScheduler, past: SideRun | None) -> DenoiserReport:
        adapter = side.part.adapter.name
        if self._bindings.denoisers[side.denoiser_name].passed:
            return DenoiserReport(name, adapter, "disabled", (), NOT_RECORDED)
        steps = steps_of(past.calls, side.macs_later(past), Residuals) if past else ()
        return DenoiserReport(name, adapter, f"only the residuals that {side.denoiser_name} uses", steps)

    def _notes_of(self, name: str, scheduler: CachingScheduler, run: Run) -> list[Note]:
        """What there is to say of a run of one denoiser."""
        notes = []
        owner, active = self._bindings.owner, self._bindings.active
        if active and part_of(owner, name) not in (None, scheduler.part.module):
            text = "was replaced, and the new one is not accelerated yet: the next run may do it"
            notes.append(Note("replaced_model", f"{name} {text}, accelerate(pipe) does it now"))
        if scheduler.passed:
            return [*notes, Note("disabled", f"{name}: the last run was in full: the session was disabled")]
        if run.readers:
            names = ", ".join(run.readers)
            text = "every step was full: features or maps of its deep layers may be read"
            notes.append(Note("every_step_full", f"{name}: {text} ({names})"))
        if run.aside:
            notes.append(Note("every_step_full", f"{name}: every step was full: {run.aside}"))
        changed = sorted({call.clock.step for call in run.calls if call.missing == CHANGED})
        if changed:
            text = f"{name}: full at steps {', '.join(map(str, changed))}, since {CHANGED} there"
            behind = {call.clock.step for call in run.calls if call.missing == UNSETTLED and call.cache_miss}
            if behind:
                text += f", and at {len(behind)} steps behind, until features moved steadily again"
            notes.append(Note("conditioning_changed", text))
        if any(call.missing == UNTOLD for call in run.calls):
            notes.append(Note("untold_lanes", f"{name}: some calls were full, since {UNTOLD}"))
        cached = next((call for call in run.calls if call.branch is not None), None)
        if cached is not None and (text := few_steps(cached.clock.total)):
            notes.append(Note("few_steps", f"{name}: {text}"))
        if scheduler.verification.failure:
            text = f"{name}: every step was full: {scheduler.verification.failure}"
            notes.append(Note("every_step_full", text))
        elif count := len(scheduler.verification.verified):
            notes.append(Note("verified", f"{name}: the cut was verified on {count} kinds of calls"))
        if cached is None and any(call.cache_miss for call in run.calls) and not why_full(notes):
            text = "every step was full: no call was like one of the step before, in its sizes and arguments"
            notes.append(Note("every_step_full", f"{name}: {text}"))
        return notes


def why_full(notes: Sequence[Note]) -> list[Note]:
    """Those that say why steps were full."""
    kinds = ("every_step_full", "conditioning_changed", "untold_lanes")
    return [note for note in notes if note.kind in kinds]


def uncounted(denoisers: Sequence[DenoiserReport]) -> list[Note]:
    """Denoisers that have run, and whose multiply-adds nobody knows."""
    reason = (
        "some of its operations cannot be counted from the shapes of a call (its own forward, a compiled "
        "graph, kernels of quantised weights)"
    )
    return [
        Note("macs_unknown", f"{one.name}: its multiply-adds are not known: {reason}")
        for one in denoisers
        if one.steps and one.macs is None
    ]
