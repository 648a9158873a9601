"""Makes the reports of a session, from what its schedulers have recorded."""

from collections.abc import Mapping, Sequence

from mmcache.api.bindings import Bindings
from mmcache.api.notes import Note
from mmcache.api.report import DenoiserReport, Report
from mmcache.api.resolved_pipeline import part_of
from mmcache.api.run_notes import Subject, run_notes
from mmcache.api.steps import Residuals, steps_of
from mmcache.api.totals import FinishedPart
from mmcache.engine.caching_scheduler import CachingScheduler
from mmcache.engine.run import Run
from mmcache.engine.side_run import SideRun
from mmcache.engine.side_scheduler import SideScheduler
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
        said = (self._bindings.remark, self._bindings.unheard)
        notes = [Note("runs_in_full", text) for text in said if text]
        for name, run in runs.items() if not self._bindings.unheard else ():
            notes += run_notes(self._subject(name, scheduler_of[name], run))
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
        if self._bindings.unheard:
            return DenoiserReport(name, adapter, str(self._plans[name]), (), NOT_RECORDED)
        steps = steps_of(run.calls, scheduler.macs_of(run))
        return DenoiserReport(name, adapter, str(self._plans[name]), steps)

    def _side(self, name: str, side: SideScheduler, past: SideRun | None) -> DenoiserReport:
        adapter = side.part.adapter.name
        if self._bindings.denoisers[side.denoiser_name].passed:
            return DenoiserReport(name, adapter, "disabled", (), NOT_RECORDED)
        steps = steps_of(past.calls, side.macs_later(past), Residuals) if past else ()
        return DenoiserReport(name, adapter, f"only the residuals that {side.denoiser_name} uses", steps)

    def _subject(self, name: str, scheduler: CachingScheduler, run: Run) -> Subject:
        owner, active = self._bindings.owner, self._bindings.active
        return Subject(name, scheduler, run, part_of(owner, name) if active else None)


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
