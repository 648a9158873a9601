"""What `accelerate` returns: the pipeline's acceleration, which can be reported on, paused and undone."""

from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakValueDictionary

from mmcache.api.bindings import Bindings
from mmcache.api.notes import Note
from mmcache.api.report import DenoiserReport, Report, Residuals, steps_of
from mmcache.api.resolved_pipeline import part_of
from mmcache.engine.caching_scheduler import CachingScheduler
from mmcache.engine.lanes import CHANGED, UNTOLD
from mmcache.engine.side_scheduler import SideScheduler
from mmcache.plans.plan import Plan

# The session of each owner, so that accelerating again and `restore(pipe)` find it, even after its
# denoiser was replaced. What is placed on the owner's parts keeps a session alive, not this table.
_live: WeakValueDictionary[int, "Session"] = WeakValueDictionary()


def session_of(owner: Any) -> "Session | None":
    """The session that accelerates this pipeline or model; None if there is none."""
    session = _live.get(id(owner))
    return session if session is not None and session.owner is owner and session.active else None


class Session:
    """An accelerated pipeline (or model).

    Attributes:
        plans: how each denoiser is cached, by its name in the pipeline.
        notes: what there is to say about the acceleration, also in the report.

    Use it as a context manager to restore at the end of the block.
    """

    def __init__(
        self, owner: Any, plans: Mapping[str, Plan], notes: Sequence[Note], bindings: Bindings
    ) -> None:
        self.plans = dict(plans)
        self.notes = list(notes)
        self._bindings = bindings
        _live[id(owner)] = self

    @property
    def owner(self) -> Any:
        """The pipeline, held weakly, or the bare model; None for a pipeline that is gone."""
        return self._bindings.owner

    @property
    def plan(self) -> Plan:
        """How the pipeline is cached; that of the first denoiser where they differ."""
        return next(iter(self.plans.values()))

    @property
    def denoisers(self) -> Mapping[str, CachingScheduler]:
        """What drives each denoiser, by name."""
        return self._bindings.denoisers

    @property
    def side_networks(self) -> Mapping[str, SideScheduler]:
        """What drives each ControlNet, by name."""
        return self._bindings.side_networks

    @property
    def enabled(self) -> bool:
        """Set to False to run the pipeline in full for a while, without undoing anything."""
        return all(scheduler.enabled for scheduler in self.denoisers.values())

    @enabled.setter
    def enabled(self, value: bool) -> None:
        for scheduler in self.denoisers.values():
            scheduler.enabled = value
            scheduler.clear_features()

    @property
    def active(self) -> bool:
        """False once restored."""
        return self._bindings.active

    def restore(self) -> None:
        """Undo everything; the pipeline is bit for bit what it was. Doing it twice is fine."""
        self._bindings.restore()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *exc: object) -> None:
        self.restore()

    def report(self) -> Report:
        """What the last run did, per denoiser and step. Counting MACs takes a moment the first time."""
        denoisers = tuple(self._denoiser_report(name, part) for name, part in self.denoisers.items())
        return Report(
            denoisers,
            (*self.notes, *self._notes_of_run(), *uncounted(denoisers)),
            tuple(self._side_report(name, side) for name, side in self.side_networks.items()),
        )

    def _denoiser_report(self, name: str, scheduler: CachingScheduler) -> DenoiserReport:
        steps = steps_of(scheduler.run.calls, scheduler.macs)
        return DenoiserReport(name, scheduler.part.adapter.name, str(self.plans[name]), steps)

    def _side_report(self, name: str, side: SideScheduler) -> DenoiserReport:
        steps = steps_of(side.past.calls if side.past else [], side.macs, Residuals)
        plan = f"only the residuals that {side.denoiser_name} uses"
        return DenoiserReport(name, side.part.adapter.name, plan, steps)

    def _notes_of_run(self) -> list[Note]:
        """What there is to say of the last run."""
        notes = [Note("runs_in_full", remark)] if (remark := self._bindings.remark) else []
        for name, scheduler in self.denoisers.items():
            if self.active and part_of(self.owner, name) not in (None, scheduler.part.module):
                text = "was replaced, and the new one is not accelerated yet: the next run may do it"
                notes.append(Note("replaced_model", f"{name} {text}, accelerate(pipe) does it now"))
            if scheduler.run.readers:
                names = ", ".join(scheduler.run.readers)
                text = "every step was full: features or maps of its deep layers may be read"
                notes.append(Note("every_step_full", f"{name}: {text} ({names})"))
            if scheduler.run.aside:
                notes.append(Note("every_step_full", f"{name}: every step was full: {scheduler.run.aside}"))
            changed = sorted({call.clock.step for call in scheduler.run.calls if call.missing == CHANGED})
            if changed:
                text = f"{name}: full at steps {', '.join(map(str, changed))}, since {CHANGED} there"
                notes.append(Note("conditioning_changed", text))
            if any(call.missing == UNTOLD for call in scheduler.run.calls):
                notes.append(Note("untold_lanes", f"{name}: some calls were full, since {UNTOLD}"))
            if scheduler.verification.failure:
                text = f"{name}: every step was full: {scheduler.verification.failure}"
                notes.append(Note("every_step_full", text))
            elif count := len(scheduler.verification.verified):
                notes.append(Note("verified", f"{name}: the cut was verified on {count} kinds of calls"))
        return notes + [
            Note("side_network_whole", f"{name}: ran whole at every step: cached ones need all of it")
            for name, side in self.side_networks.items()
            if side.ran_whole_beside(self.denoisers[side.denoiser_name].run.calls)
        ]


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
