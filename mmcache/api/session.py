"""What `accelerate` returns: the pipeline's acceleration, which can be reported on, paused and undone."""

from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakValueDictionary

from torch import nn

from mmcache.api.report import DenoiserReport, Report, steps_of
from mmcache.api.resolved_pipeline import Denoiser, SideNetwork, find_side_networks, part_of, takes_residuals
from mmcache.architectures.registry import adapter_for
from mmcache.clocks.clock import Clock
from mmcache.engine.caching_scheduler import CachingScheduler
from mmcache.engine.side_scheduler import SideScheduler
from mmcache.patching.forward_patch import is_compiled, patch_forward, unwrap_compiled
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
        owner: the pipeline, or the bare model.
        plans: how each denoiser is cached, by its name in the pipeline.
        notes: what there is to say about the acceleration, also in the report.
        denoisers: what drives each of them, by name.
        side_networks: what drives the ControlNets, by name.

    Use it as a context manager to restore at the end of the block.
    """

    def __init__(self, owner: Any, plans: Mapping[str, Plan], clock: Clock, notes: list[str]) -> None:
        self.owner = owner
        self.plans = dict(plans)
        self.notes = notes
        self._clock = clock
        self._takes_residuals: str | None = None
        self.denoisers: dict[str, CachingScheduler] = {}
        self.side_networks: dict[str, SideScheduler] = {}
        self._undo: dict[str, Callable[[], None]] = {}
        _live[id(owner)] = self

    @property
    def plan(self) -> Plan:
        """How the pipeline is cached; that of the first denoiser where they differ."""
        return next(iter(self.plans.values()))

    def bind(self, name: str, part: Denoiser) -> None:
        """Put the caching scheduler around one denoiser."""
        scheduler = CachingScheduler(part.model, part.adapter, self.plans[name], self._clock)
        self._undo[name] = patch_forward(part.model, scheduler, owner=self)
        self.denoisers[name] = scheduler
        if self._takes_residuals is None and takes_residuals(part.model):
            self._takes_residuals = name

    def rebind(self) -> None:
        """Follow the owner: a part that was compiled or replaced after `accelerate` is bound anew."""
        for name, scheduler in list(self.denoisers.items()):
            model = part_of(self.owner, name)
            if model is None or not changed(model, scheduler):
                continue
            adapter = adapter_for(unwrap_compiled(model))
            if adapter is not None:
                self._undo[name]()
                self.bind(name, Denoiser(model, adapter))
                self.denoisers[name].enabled = scheduler.enabled
        self.bind_side_networks()

    def bind_side_networks(self) -> None:
        """Drive the ControlNets that the owner has now, and no others."""
        found = find_side_networks(self.owner) if self._takes_residuals else {}
        before = dict(self.side_networks)
        for name, side in before.items():
            if name not in found or changed(found[name].model, side):
                self._undo.pop(name)()
                del self.side_networks[name]
        for name, part in found.items():
            if name not in self.side_networks:
                side = self._bind_side_network(name, part)
                side.enabled = before[name].enabled if name in before else True

    def _bind_side_network(self, name: str, part: SideNetwork) -> SideScheduler:
        denoiser = str(self._takes_residuals)
        side = SideScheduler(name, part.model, part.adapter, denoiser, lambda: self.denoisers[denoiser])
        self._undo[name] = patch_forward(part.model, side, owner=self)
        self.side_networks[name] = side
        return side

    def drop_early_ones(self, run: int, last_step: int) -> None:
        """At the end of a run: denoisers that were not called in its last step hold nothing more either."""
        for scheduler in self.denoisers.values():
            if scheduler.run.number == run and scheduler.run.has_stopped_before(last_step):
                scheduler.run.clear_features()

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
        return bool(self._undo)

    def report(self) -> Report:
        """What the last run did, per denoiser and step. Counting MACs takes a moment the first time."""
        return Report(
            tuple(self._denoiser_report(name, scheduler) for name, scheduler in self.denoisers.items()),
            (*self.notes, *self._replaced(), *self._read(), *self._verified(), *self._whole()),
            tuple(self._side_report(name, side) for name, side in self.side_networks.items()),
        )

    def _replaced(self) -> list[str]:
        return [
            f"{name} was replaced, and the new one is not accelerated yet: the next run may do it, "
            f"accelerate(pipe) does it now"
            for name, scheduler in self.denoisers.items()
            if self.active and part_of(self.owner, name) not in (None, scheduler.entrance)
        ]

    def _read(self) -> list[str]:
        return [
            f"{name}: every step was full, since layers that a cached step leaves out have attention "
            f"processors whose maps may be read ({', '.join(scheduler.run.readers)})"
            for name, scheduler in self.denoisers.items()
            if scheduler.run.readers
        ]

    def _verified(self) -> list[str]:
        """What the first full steps have shown of denoisers that no adapter describes."""
        return [
            f"{name}: every step was full: {scheduler.verification.failure}"
            if scheduler.verification.failure
            else f"{name}: the cut was verified on {len(scheduler.verification.verified)} kinds of calls"
            for name, scheduler in self.denoisers.items()
            if scheduler.verification.failure or scheduler.verification.verified
        ]

    def _whole(self) -> list[str]:
        """Side networks of which the last run's cached steps have left out nothing."""
        return [
            f"{name}: ran whole at every step: nothing of it could be left out at the cached ones"
            for name, side in self.side_networks.items()
            if side.past is not None
            and side.enabled
            and side.past.calls
            and any(call.branch is not None for call in self.denoisers[side.denoiser_name].run.calls)
            and all(call.branch is None for call in side.past.calls)
        ]

    def _denoiser_report(self, name: str, scheduler: CachingScheduler) -> DenoiserReport:
        steps = steps_of(scheduler.run.calls, scheduler.macs)
        return DenoiserReport(name, scheduler.adapter.name, str(self.plans[name]), steps)

    def _side_report(self, name: str, side: SideScheduler) -> DenoiserReport:
        steps = steps_of(side.past.calls if side.past else [], side.macs)
        plan = f"only the residuals that {side.denoiser_name} uses"
        return DenoiserReport(name, side.adapter.name, plan, steps, unit="residuals")

    def restore(self) -> None:
        """Undo everything; the pipeline is bit for bit what it was. Doing it twice is fine."""
        for undo in self._undo.values():
            undo()
        self._undo.clear()
        self._clock.release()
        for scheduler in self.denoisers.values():
            scheduler.clear_features()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *exc: object) -> None:
        self.restore()


def changed(model: nn.Module, scheduler: CachingScheduler | SideScheduler) -> bool:
    """Whether this is another model than the one that the scheduler stands around, or compiled since."""
    return model is not scheduler.entrance or is_compiled(model) != scheduler.compiled
