"""What a session has placed on an owner's models and schedulers, and how it follows the owner's changes."""

from collections.abc import Callable, Mapping
from typing import Any

from mmcache.api.resolved_pipeline import find_side_networks, part_of, takes_residuals
from mmcache.architectures.component import Denoiser, SideNetwork
from mmcache.architectures.registry import adapter_for
from mmcache.architectures.undescribed import undescribed_adapter
from mmcache.clocks.clock import Clock
from mmcache.clocks.pipeline_clock import PipelineClock
from mmcache.engine.caching_scheduler import CachingScheduler
from mmcache.engine.side_scheduler import SideScheduler
from mmcache.patching.forward_patch import patch_forward, unwrap_compiled
from mmcache.patching.held import held, when_gone
from mmcache.plans.plan import Plan


class Bindings:
    """The schedulers that drive an owner's denoisers and side networks.

    Args:
        owner: the pipeline, or the bare model.
        plans: how each denoiser is cached, by its name in the pipeline.
        clock: tells the steps.
        denoisers: those to be cached.

    Attributes:
        denoisers: what drives each of them, by name.
        side_networks: what drives the ControlNets, by name.

    Raises:
        UnsupportedPipelineError: a model has a forward that cannot be repeated on a smaller copy.
    """

    def __init__(
        self, owner: Any, plans: Mapping[str, Plan], clock: Clock, denoisers: Mapping[str, Denoiser]
    ) -> None:
        self._owner = held(owner)
        self._plans = plans
        self._clock = clock
        self._session: object = None
        self._with_side_networks = next((n for n, part in denoisers.items() if takes_residuals(part)), None)
        self.denoisers = {name: self._scheduler(part) for name, part in denoisers.items()}
        self.side_networks: dict[str, SideScheduler] = {}
        self._undo: dict[str, Callable[[], None]] = {}
        self._stay = when_gone(owner, self.let_go)

    @property
    def owner(self) -> Any:
        """The pipeline, or the bare model; None for a pipeline that is gone."""
        return self._owner()

    def _scheduler(self, part: Denoiser) -> CachingScheduler:
        scheduler = CachingScheduler(part, self._plans[part.name], self._clock)
        scheduler.on_failure = self._forget_runs
        return scheduler

    def _forget_runs(self) -> None:
        """A call of one denoiser has failed: none of them holds anything of this thread's run."""
        for scheduler in self.denoisers.values():
            scheduler.forget_run()

    def place(self, session: object) -> None:
        """Put everything in its place, on behalf of a session."""
        self._session = session
        try:
            for name, scheduler in self.denoisers.items():
                self._undo[name] = patch_forward(scheduler.part.module, scheduler, owner=session)
            self._follow_side_networks()
        except BaseException:
            self.restore()
            raise
        if isinstance(self._clock, PipelineClock):
            self._clock.on_run, self._clock.on_end = self.follow, self.clear_early_ones

    def follow(self) -> None:
        """Follow the owner: a part that was compiled or replaced after `accelerate` is bound anew."""
        for name, scheduler in list(self.denoisers.items()):
            module = part_of(self.owner, name)
            if module is None or scheduler.part.is_current(module):
                continue
            adapter = adapter_for(unwrap_compiled(module))
            if adapter is None and scheduler.part.adapter.undescribed:
                adapter = undescribed_adapter(unwrap_compiled(module))
            if adapter is not None:
                fresh = self._scheduler(Denoiser(name, module, adapter))
                fresh.enabled = scheduler.enabled
                self._undo[name]()
                self._undo[name] = patch_forward(module, fresh, owner=self._session)
                self.denoisers[name] = fresh
        self._follow_side_networks()

    def _follow_side_networks(self) -> None:
        """Drive the ControlNets that the owner has now, and no others."""
        found = find_side_networks(self.owner) if self._with_side_networks else {}
        before = dict(self.side_networks)
        for name, side in before.items():
            if name not in found or not side.part.is_current(found[name].module):
                self._undo.pop(name)()
                del self.side_networks[name]
        for name, part in found.items():
            if name not in self.side_networks:
                self.side_networks[name] = self._place_side_network(part)
                self.side_networks[name].enabled = before[name].enabled if name in before else True

    def _place_side_network(self, part: SideNetwork) -> SideScheduler:
        name, denoisers = str(self._with_side_networks), self.denoisers
        side = SideScheduler(part, name, lambda: denoisers[name])
        self._undo[part.name] = patch_forward(part.module, side, owner=self._session)
        return side

    def clear_early_ones(self, run: int, last_step: int) -> None:
        """At the end of a run: denoisers that were not called in its last step hold nothing more either."""
        for scheduler in self.denoisers.values():
            if scheduler.run.number == run and scheduler.run.has_stopped_before(last_step):
                scheduler.run.clear_features()

    @property
    def remark(self) -> str:
        """What the clock has to say of calls that were no steps of a run."""
        return self._clock.remark

    @property
    def active(self) -> bool:
        """False once restored."""
        return bool(self._undo)

    def restore(self) -> None:
        """Take everything off again."""
        for undo in self._undo.values():
            undo()
        self._undo.clear()
        self._stay()
        self._session = None  # nothing is left that only the garbage collector could free
        self._clock.release()
        for scheduler in self.denoisers.values():
            scheduler.clear_features()
            scheduler.on_failure = nothing_to_forget

    def let_go(self) -> None:
        """The pipeline is gone: take everything off its models, and hold them no longer."""
        self.restore()
        self.denoisers.clear()
        self.side_networks.clear()


def nothing_to_forget() -> None:
    """What a scheduler does on a failure once it was taken off."""
