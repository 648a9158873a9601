"""What `accelerate` returns: the pipeline's acceleration, which can be reported on, paused and undone."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary, ref

from torch import nn

from mmcache.api.bindings import Bindings
from mmcache.api.notes import Note
from mmcache.api.observers import LOGGER, Observers, OnRun
from mmcache.api.report import Report
from mmcache.api.report_markup import session_html
from mmcache.api.reporting import Reporting
from mmcache.api.sharing import Sharing
from mmcache.api.totals import Totals
from mmcache.caller import warn
from mmcache.engine.caching_scheduler import CachingScheduler
from mmcache.engine.run import Run
from mmcache.engine.side_scheduler import SideScheduler
from mmcache.patching.forward_patch import Around
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
        self._class_name = type(owner).__name__
        self._bindings = bindings
        self._observers = Observers()
        self._sharing: Sharing | None = None
        self._reporting = Reporting(bindings, self.plans, self.notes)
        self._strangers: set[str] = set()
        _live[id(owner)] = self
        LOGGER.debug("%r", self)

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
        """Set to False to run in full for a while, without undoing anything; where it is shared, for all."""
        return all(scheduler.enabled for scheduler in self.denoisers.values())

    @enabled.setter
    def enabled(self, value: bool) -> None:
        for scheduler in self.denoisers.values():
            scheduler.enabled = value
            scheduler.clear_features()
        for member in self._members():
            member.enabled = value

    @property
    def active(self) -> bool:
        """False once restored."""
        return self._bindings.active

    def restore(self) -> None:
        """Undo everything; the pipeline is bit for bit what it was. Doing it twice is fine."""
        members = self._members()
        self._bindings.restore()
        for member in members:
            member.restore()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *exc: object) -> None:
        self.restore()

    def __repr__(self) -> str:
        plans = sorted({str(plan) for plan in self.plans.values()})
        how = plans[0] if len(plans) == 1 else f"{len(plans)} plans"
        state = "" if self.active else ", restored"
        paused = "" if self.enabled else ", disabled"
        shared = ", shared" if self._sharing else ""
        return f"Session({self._class_name}, {', '.join(self.plans)}: {how}{shared}{paused}{state})"

    def _repr_html_(self) -> str:
        return session_html(self)

    def report(self) -> Report:
        """What the last run did, per denoiser and step. Counting MACs takes a moment the first time.

        Of a shared session, the last run of any of its pipelines.
        """
        last = self._observers.last
        passed = any(scheduler.passed for scheduler in self.denoisers.values())
        if self._sharing is None or last is None or passed or (found := last()) is self:
            report = self._reporting.of_last_run()
        elif found is not None:
            report = found.report()
        else:
            text = "the last run was of a pipeline that is gone; on_run(callback) hands each run's report"
            report = Report((), (*self.notes, Note("pipeline_gone", text)))
        notes = [Note("runs_in_full", in_full(self._strangers))] if self._strangers else []
        notes += self._sharing.notes if self._sharing else []
        return replace(report, notes=(*report.notes, *notes)) if notes else report

    def on_run(self, callback: OnRun) -> Callable[[], None]:
        """Call `callback(report)` whenever a sampling run has ended; of a shared session, of any pipeline.

        It is called in the thread that samples, behind the last step and before the image is decoded, so it
        should return soon, and several threads may call it at once. What it raises is not passed on: it is
        warned of once. A run that was stopped before its end is not reported, only counted in `totals()`. Of
        a bare model whose number of steps nobody tells, runs are reported at `restore`, if not before.

        Returns:
            What calls it off.
        """
        return self._observers.add(callback)

    def totals(self) -> Totals:
        """Sums over all runs that are over: steps, cache misses, multiply-adds, seconds."""
        return self._observers.totals.totals()

    def place(self) -> None:
        """Put everything in its place."""
        self._bindings.place(self)
        self._bindings.on_begun, self._bindings.on_finished = self._run_has_begun, self._run_is_over
        self._bindings.watch_strangers(self._met)

    def share(self, accelerate: Callable[[Any], "Session"]) -> None:
        """Serve all pipelines that call the same models.

        Args:
            accelerate: makes the session of another pipeline.
        """
        self._sharing = Sharing(accelerate, session_of)
        self._bindings.deputy = self._deputy

    def join(self, other: "Session") -> None:
        """Belong to a shared session: be paused as it is, and tell whoever observes it."""
        self._observers = other._observers
        if not other.enabled:
            self.enabled = False

    def _members(self) -> list["Session"]:
        return self._sharing.members() if self._sharing else []

    def _deputy(self, model: nn.Module) -> Around | None:
        return self._sharing.deputy(self, model) if self._sharing else None

    def _met(self, pipeline: Any) -> None:
        """Another pipeline calls a denoiser: where it has no session, it is told that it runs in full."""
        name = type(pipeline).__name__
        if name not in self._strangers and self._sharing is None and session_of(pipeline) is None:
            self._strangers.add(name)
            warn(in_full(self._strangers))

    def _run_has_begun(self) -> None:
        self._observers.last = ref(self)

    def _run_is_over(self, runs: Mapping[str, Run]) -> None:
        runs = {name: run for name, run in runs.items() if name in self.denoisers}
        stopped = all(run.is_stopped for run in runs.values())
        self._observers.tell(self._reporting.parts(runs), stopped, lambda: self._reporting.of(runs))


def in_full(strangers: Collection[str]) -> str:
    """What is said of other pipelines with the same denoiser."""
    return (
        f"calls by another pipeline with the same denoiser ({', '.join(sorted(strangers))}) run in full: to "
        f"cache them, accelerate that pipeline too, or this one with accelerate(pipe, shared=True)"
    )
