"""What a session has placed on an owner's models and schedulers, and how it follows the owner's changes."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from mmcache.api.resolved_pipeline import find_side_networks, part_of, takes_residuals
from mmcache.architectures.component import Denoiser, SideNetwork
from mmcache.architectures.registry import adapter_for
from mmcache.architectures.undescribed import undescribed_adapter
from mmcache.clocks.clock import Clock
from mmcache.clocks.pipeline_clock import PipelineClock
from mmcache.engine.caching_scheduler import CachingScheduler
from mmcache.engine.callbacks import Callbacks, nobody, nothing, nothing_of
from mmcache.engine.few_steps import Once
from mmcache.engine.run import Run
from mmcache.engine.side_scheduler import SideScheduler
from mmcache.patching.forward_patch import Around, patch_forward, unwrap_compiled
from mmcache.patching.held import held, when_gone
from mmcache.patching.pipeline_kinds import is_pipeline
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
        on_begun: called when a run has begun, in the thread that samples.
        on_finished: called with runs that are over, by the names of their denoisers.
        deputy: as a caching scheduler has it: gives what drives a call of this model in place of the owner's.

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
        self._steps_missed = False
        self._once = Once()
        self.on_begun: Callable[[], None] = nothing
        self.on_finished: Callable[[Mapping[str, Run]], None] = nothing_of
        self.deputy: Callable[[nn.Module], Around | None] = nobody
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
        scheduler.callbacks = Callbacks(
            failed=self._forget_runs,
            begun=lambda: self.on_begun(),
            left=lambda run: self._finish({part.name: run}),
            deputy=lambda model: self.deputy(model),
        )
        return scheduler

    def _finish(self, runs: Mapping[str, Run]) -> None:
        """Runs are over: tell of those that have done something, each once."""
        over = {name: run for name, run in runs.items() if run.calls and not run.finished}
        for run in over.values():
            run.finished = True
        if over:
            self.on_finished(over)

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
            self._clock.on_run, self._clock.on_end = self.follow, self.end_run
            self._clock.on_step, self._clock.on_unheard = self.end_step, self._miss_calls

    def follow(self) -> None:
        """Follow the owner: a part that was compiled or replaced after `accelerate` is bound anew."""
        self._steps_missed = False
        for scheduler in self.denoisers.values():
            scheduler.heard = False
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

    @property
    def unheard(self) -> str:
        """Why nothing is known of the last run: its calls of the denoisers went by mmcache; "" usually."""
        if not self._steps_missed or any(scheduler.heard for scheduler in self.denoisers.values()):
            return ""
        return (
            f"{', '.join(self.denoisers)}: nothing was cached, since no call has come by mmcache although "
            f"steps were taken: its forward was replaced, or put back. restore() and accelerate() once more"
        )

    def _miss_calls(self, only_scheduler: bool) -> None:
        """A run has taken steps without a call of a denoiser, which somebody may have given its forward back.

        Calls that pass unchanged are calls. Where the owner has further schedulers, a model that is not
        cached may have taken these steps, and calls may come behind them.
        """
        self._steps_missed = True
        if only_scheduler and is_pipeline(self.owner) and self.unheard:
            self._once.say(self.unheard)

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
        side.deputy = lambda model: self.deputy(model)
        self._undo[part.name] = patch_forward(part.module, side, owner=self._session)
        return side

    def end_step(self, number: int, sample: Any, result: Any) -> None:
        """Behind a step of a run: its denoisers hear what the scheduler has returned."""
        for scheduler in self.denoisers.values():
            for run in scheduler.runs:
                if run.number == number:
                    run.end_step(sample, result)

    def end_run(self, number: int, last_step: int) -> None:
        """At the end of a run: denoisers that were not called in its last step hold nothing more either."""
        runs = {name: one.run for name, one in self.denoisers.items() if one.run.number == number}
        for run in runs.values():
            if run.has_stopped_before(last_step):
                run.clear_features()
        self._finish(runs)

    def watch_strangers(self, on_stranger: Callable[[Any], None]) -> None:
        """Hear of calls that other pipelines make of the denoisers."""
        if isinstance(self._clock, PipelineClock):
            self._clock.on_stranger = on_stranger

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
        for name, scheduler in self.denoisers.items():
            for run in scheduler.runs:
                self._finish({name: run})
        self.on_begun, self.on_finished = nothing, nothing_of
        self.deputy = nobody
        for undo in self._undo.values():
            undo()
        self._undo.clear()
        self._stay()
        self._session = None  # nothing is left that only the garbage collector could free
        self._clock.release()
        for scheduler in self.denoisers.values():
            scheduler.clear_features()
            scheduler.callbacks = Callbacks()
        for side in self.side_networks.values():
            side.deputy = nobody

    def let_go(self) -> None:
        """The pipeline is gone: take everything off its models, and hold them no longer."""
        self.restore()
        self.denoisers.clear()
        self.side_networks.clear()
