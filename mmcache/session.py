"""What `accelerate` returns: the pipeline's acceleration, which can be reported on, paused and undone."""

from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

from torch import nn

from mmcache.adapter import Adapter
from mmcache.caching_scheduler import CachingScheduler
from mmcache.clock import Clock
from mmcache.plan import Plan
from mmcache.registry import adapter_for
from mmcache.report import DenoiserReport, Report, steps_of
from mmcache.shadow import is_compiled, own_model, shadow_forward

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
        plan: how it is cached.
        notes: what there is to say about the acceleration, also in the report.

    Use it as a context manager to restore at the end of the block.
    """

    def __init__(self, owner: Any, plan: Plan, clock: Clock, notes: list[str]) -> None:
        self.owner = owner
        self.plan = plan
        self.notes = notes
        self._clock = clock
        self._denoisers: dict[str, CachingScheduler] = {}
        self._undo: dict[str, Callable[[], None]] = {}
        _live[id(owner)] = self

    def bind(self, name: str, model: nn.Module, adapter: Adapter) -> None:
        """Put the caching scheduler around one denoiser."""
        scheduler = CachingScheduler(model, adapter, self.plan, self._clock)
        self._undo[name] = shadow_forward(model, scheduler, owner=self)
        self._denoisers[name] = scheduler

    def rebind(self) -> None:
        """Follow the owner: a denoiser that was compiled or replaced after `accelerate` is bound anew."""
        for name, scheduler in list(self._denoisers.items()):
            model = getattr(self.owner, name, None)
            if not isinstance(model, nn.Module):
                continue
            same = model is scheduler.entrance and is_compiled(model) == scheduler.compiled
            adapter = adapter_for(own_model(model))
            if same or adapter is None:
                continue
            self._undo[name]()
            self.bind(name, model, adapter)
            self._denoisers[name].enabled = scheduler.enabled

    @property
    def enabled(self) -> bool:
        """Set to False to run the pipeline in full for a while, without undoing anything."""
        return all(scheduler.enabled for scheduler in self._denoisers.values())

    @enabled.setter
    def enabled(self, value: bool) -> None:
        for scheduler in self._denoisers.values():
            scheduler.enabled = value
            scheduler.run.drop()

    @property
    def active(self) -> bool:
        """False once restored."""
        return bool(self._undo)

    def report(self) -> Report:
        """What the last run did, per denoiser and step. Counting MACs takes a moment the first time."""
        return Report(
            tuple(self._denoiser_report(name, scheduler) for name, scheduler in self._denoisers.items()),
            (*self.notes, *self._replaced()),
        )

    def _replaced(self) -> list[str]:
        return [
            f"{name} was replaced, and the new one is not accelerated yet: the next run may do it, "
            f"accelerate(pipe) does it now"
            for name, scheduler in self._denoisers.items()
            if self.active and getattr(self.owner, name, scheduler.entrance) is not scheduler.entrance
        ]

    def _denoiser_report(self, name: str, scheduler: CachingScheduler) -> DenoiserReport:
        return DenoiserReport(
            name, scheduler.adapter.name, str(self.plan), steps_of(scheduler.run.calls, scheduler.macs)
        )

    def restore(self) -> None:
        """Undo everything; the pipeline is bit for bit what it was. Doing it twice is fine."""
        for undo in self._undo.values():
            undo()
        self._undo.clear()
        self._clock.release()
        for scheduler in self._denoisers.values():
            scheduler.run.drop()

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *exc: object) -> None:
        self.restore()
