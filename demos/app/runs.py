"""A full and a cached run of one order, watched; the full one only if it is not known already."""

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from PIL import Image

from mmcache.api.accelerate import accelerate
from mmcache.api.report import Report
from mmcache.api.session import Session
from mmcache.patching.cloned_pipeline import clone_pipeline
from mmcache.tools.comparison.compare import compared
from mmcache.tools.running.call_settings import has_argument, settings_of
from mmcache.tools.running.denoiser_timer import timed
from mmcache.tools.running.macs_counter import counted_components
from mmcache.tools.running.requests import noise
from mmcache.tools.running.runner import Sampling, images_of, own_progress_bar, timed_models
from mmcache.tools.tasks.samplers import use_sampler
from mmcache_demos.app.orders import CACHED, FULL, FullRun, Order, Ran
from mmcache_demos.app.race import Lap, Turns, side_by_side
from mmcache_demos.app.settings import OWN_SAMPLER
from mmcache_demos.app.watching import Frame, Progress, Stopped, Watcher, preview_of

WATCHED = "callback_on_step_end"
OTHERS = "calls by another pipeline"  # how that note begins
WARMUP = 2  # steps: the first call of a pipeline is slower than those after it


def run_both(
    pipe: Any,
    order: Order,
    full: FullRun | None,
    stop: threading.Event,
    tell: Callable[[Progress], None],
) -> Ran:
    """Run an order; the pipe is afterwards what it was, however the run ends.

    Both runs take turns, step by step, and each has a clock that runs only while it is its turn. A pipeline
    that calls nobody at the end of a step has one run after the other.

    Args:
        pipe: nobody else may use it meanwhile.
        order: what to run.
        full: the full run of the same order, if it is known.
        stop: ends the run at the end of the step in which it is set.
        tell: is told after every step.

    Raises:
        Stopped: it was stopped.
        ValueError: what the pipeline, the plan or the order cannot do.
    """
    settings = settings_of(pipe, order.prompt if has_argument(pipe, "prompt") else None, None, order.call)
    if has_argument(pipe, "guidance_scale"):
        settings["guidance_scale"] = order.guidance
    in_turns = full is None and has_argument(pipe, WATCHED)
    warnings.filterwarnings("ignore", message=OTHERS)  # the full run is meant to be full
    with (
        sampling_with(pipe, order.sampler),
        own_progress_bar(pipe),
        timed(timed_models(pipe)) as timer,
        counted_components(pipe) as counters,
    ):
        pipe.set_progress_bar_config(disable=True)
        pipes = {FULL: pipe, CACHED: clone_pipeline(pipe) if in_turns else pipe}
        with accelerate(pipes[CACHED], order.plan) as session:
            runs = Runs(
                order, settings, pipes, session, Lap(timer, counters), (stop, threading.Event()), tell
            )
            if full is None:
                runs.warm_up()
            sides = (CACHED,) if full else (FULL, CACHED)
            both = runs.in_turns() if in_turns else {side: runs.sample(side) for side in sides}
            report = without_our_own(session.report())
        runs.laps[CACHED].put_back_calls()
        found = compared(
            pipe,
            settings | {"steps": order.steps, "seed": order.seed},
            plan=session.plan,
            full=full.sampling if full else both[FULL],
            cached=both[CACHED],
            report=report,
            counters=counters,
            timing=timing_of(in_turns),
        )
    frames = {side: tuple(runs.frames[side]) for side in sides}
    return Ran(found, frames | ({FULL: full.frames} if full else {}))


class Runs:
    """The runs of one order.

    Args:
        order, settings: what is run.
        pipes: of both sides; the same one where they do not take turns.
        session: of the cached one.
        lap: of the timer and counters of what both sides call.
        stops: events that end the runs; the last is set when one of them fails.
        tell: is told after every step.

    Attributes:
        laps: what each side has taken.
        frames: the images on the way of each side.
    """

    def __init__(
        self,
        order: Order,
        settings: Mapping[str, Any],
        pipes: Mapping[str, Any],
        session: Session,
        lap: Lap,
        stops: tuple[threading.Event, threading.Event],
        tell: Callable[[Progress], None],
    ) -> None:
        self.laps = {side: replace(lap, calls={}) for side in pipes}
        self.frames: dict[str, list[Frame]] = {side: [] for side in pipes}
        self._order = order
        self._call = {**settings, "num_inference_steps": order.steps, "output_type": "np"}
        self._pipes = pipes
        self._session = session
        self._stops = stops
        self._tell = tell
        self._turns: Turns | None = None

    @property
    def _is_shared(self) -> bool:
        return self._pipes[FULL] is self._pipes[CACHED]

    def warm_up(self) -> None:
        """Take a few steps that nobody measures."""
        self._session.enabled = not self._is_shared
        steps = min(self._order.steps, WARMUP)
        self._pipes[FULL](**self._call | {"num_inference_steps": steps}, generator=noise(self._order.seed))
        lap = self.laps[FULL]
        lap.timer.take()
        for counter in lap.counters.values():
            counter.calls.clear()

    def in_turns(self) -> dict[str, Sampling]:
        """Both sides, step by step."""
        self._turns = Turns(list(self._pipes))
        return side_by_side({side: partial(self.sample, side) for side in self._pipes}, self._stops[-1])

    def sample(self, side: str) -> Sampling:
        """One side.

        Raises:
            Stopped: it was stopped.
        """
        pipe, lap = self._pipes[side], self.laps[side]
        if self._is_shared:
            self._session.enabled = side == CACHED
        watching = {WATCHED: self._at_step_end(side)} if has_argument(pipe, WATCHED) else {}
        if self._turns is not None:
            self._turns.wait(side)
        try:
            lap.go_on()
            result = pipe(**self._call, **watching, generator=noise(self._order.seed))
            lap.pause()
        finally:
            if self._turns is not None:
                self._turns.leave(side)
        if self._stops[0].is_set():
            raise Stopped
        return Sampling(images_of(pipe, result), lap.seconds, lap.denoiser_seconds)

    def _at_step_end(self, side: str) -> Callable[..., dict[str, Any]]:
        """The callback of one side: its clock stops while others look, and while the other side runs."""
        order, lap = self._order, self.laps[side]
        session = self._session if side == CACHED else None
        watcher = Watcher(side, order.steps, session, self._stops, self._tell, self.frames[side])
        if order.previews:
            watcher.shows(self._preview, order.previews)

        def at_step_end(pipe: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            lap.pause()
            watcher(pipe, step, tensors, lap.seconds)
            if self._turns is not None:
                self._turns.pass_on(side, lap.seconds)
            lap.go_on()
            return {}

        return at_step_end

    def _preview(self, latents: torch.Tensor) -> Image.Image | None:
        with ExitStack() as pauses:
            for counter in self.laps[FULL].counters.values():
                pauses.enter_context(counter.paused())
            return preview_of(self._pipes[FULL], latents)


def without_our_own(report: Report) -> Report:
    """The report without the note that another pipeline has used the denoiser: here that is the full run."""
    kept = tuple(note for note in report.notes if not note.startswith(OTHERS))
    return replace(report, notes=kept)


def timing_of(in_turns: bool) -> str:
    """How the seconds were measured, in words."""
    how = "one run each, in turns, each with a clock of its own" if in_turns else "one run each"
    return f"{how}; before the full one an untimed warm-up of {WARMUP} steps"


@contextmanager
def sampling_with(pipe: Any, sampler: str) -> Iterator[None]:
    """Give the pipe a sampler within the block, and its own one back at the end."""
    before = pipe.scheduler
    try:
        if sampler != OWN_SAMPLER:
            use_sampler(pipe, sampler)
        yield
    finally:
        pipe.scheduler = before
