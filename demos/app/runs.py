"""A full and a cached run of one order, watched; the full one only if it is not known already."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from PIL import Image

from mmcache.api.accelerate import accelerate
from mmcache.api.session import Session
from mmcache.plans.plan import Plan
from mmcache.tools.comparison.compare import compared
from mmcache.tools.comparison.comparison import Comparison
from mmcache.tools.running.call_settings import has_argument, settings_of
from mmcache.tools.running.denoiser_timer import timed
from mmcache.tools.running.macs_counter import counted_components
from mmcache.tools.running.requests import noise
from mmcache.tools.running.runner import Sampling, images_of, own_progress_bar, timed_models
from mmcache.tools.tasks.samplers import use_sampler
from mmcache_demos.app.race import Lap, Turns, side_by_side, twin_of
from mmcache_demos.app.settings import OWN_SAMPLER
from mmcache_demos.app.watching import Frame, Progress, Stopped, Watcher, preview_of

FULL, CACHED = "full", "cached"
WATCHED = "callback_on_step_end"
WARMUP = 2  # steps: the first call of a pipeline is slower than those after it
PREVIEWS = 12  # of a run


@dataclass(frozen=True)
class Order:
    """What is run.

    Attributes:
        prompt, guidance: as the pipeline takes them.
        plan: how the cached run is cached; None for the recommended one.
        steps, seed, sampler: of both runs.
        call: further arguments of the pipeline.
        previews: how many images are shown on the way of each run.
    """

    prompt: str
    guidance: float
    plan: Plan | None
    steps: int
    seed: int
    sampler: str
    call: Mapping[str, Any]
    previews: int = 0


class FullRun(NamedTuple):
    """A full run, and what was shown of it on the way."""

    sampling: Sampling
    frames: tuple[Frame, ...] = ()


class Ran(NamedTuple):
    """What an order came to.

    Attributes:
        found: the comparison.
        frames: the images on the way, "full" and "cached".
    """

    found: Comparison
    frames: Mapping[str, tuple[Frame, ...]]

    @property
    def full(self) -> FullRun:
        return FullRun(self.found.full, self.frames[FULL])


def run_both(
    pipe: Any,
    order: Order,
    full: FullRun | None,
    stop: threading.Event,
    tell: Callable[[Progress], None],
) -> Ran:
    """Run an order; the pipe is afterwards what it was, however the run ends.

    Both runs take turns, step by step, and each has a clock that runs only while it is its turn. A pipeline
    that cannot be run twice at once, or that calls nobody at the end of a step, has one run after the other.

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
    call = {**settings, "num_inference_steps": order.steps, "output_type": "np"}
    watched = has_argument(pipe, WATCHED)
    with (
        sampling_with(pipe, order.sampler),
        own_progress_bar(pipe),
        timed(timed_models(pipe)) as timer,
        counted_components(pipe) as counters,
        ExitStack() as stack,
    ):
        pipe.set_progress_bar_config(disable=True)
        twin = twin_of(pipe) if watched and full is None else None
        pipes = {FULL: pipe, CACHED: twin or pipe}
        session: Session = stack.enter_context(accelerate(pipes[CACHED], order.plan))
        wanted = (CACHED,) if full else (FULL, CACHED)
        turns = Turns(wanted)
        laps = {side: Lap(timer, counters) for side in wanted}
        frames: dict[str, list[Frame]] = {side: [] for side in wanted}
        failed = threading.Event()

        def preview(latents: torch.Tensor) -> Image.Image | None:
            with ExitStack() as pauses:
                for counter in counters.values():
                    pauses.enter_context(counter.paused())
                return preview_of(pipe, latents)

        def sample(side: str) -> Sampling:
            lap, own = laps[side], session if side == CACHED else None
            watcher = Watcher(side, order.steps, own, (stop, failed), tell, frames[side])
            if order.previews:
                watcher.shows(preview, order.previews)

            def at_step_end(running: Any, step: int, at: Any, tensors: dict[str, Any]) -> dict[str, Any]:
                lap.pause()
                watcher(running, step, tensors, lap.seconds)
                if twin is not None:
                    turns.pass_on(side, lap.seconds)
                lap.go_on()
                return {}

            if twin is not None:
                turns.wait(side)
            try:
                lap.go_on()
                watching = {WATCHED: at_step_end} if watched else {}
                result = pipes[side](**call, **watching, generator=noise(order.seed))
                lap.pause()
            finally:
                turns.leave(side)
            if stop.is_set():
                raise Stopped
            images = images_of(pipe, result)
            return Sampling(images, lap.seconds, lap.denoiser_seconds)

        if full is None:
            session.enabled = twin is not None
            pipe(
                **call | {"num_inference_steps": min(order.steps, WARMUP)},
                generator=noise(order.seed),
            )
            timer.take()
            for counter in counters.values():
                counter.calls.clear()
        if twin is not None:
            both = side_by_side({side: lambda side=side: sample(side) for side in wanted}, failed)
        else:
            both = {}
            for side in wanted:
                session.enabled = side == CACHED
                both[side] = sample(side)
        laps[CACHED].put_back_calls()
        found = compared(
            pipe,
            settings | {"steps": order.steps, "seed": order.seed},
            plan=session.plan,
            full=full.sampling if full else both[FULL],
            cached=both[CACHED],
            report=session.report(),
            counters=counters,
            timing=timing_of(twin is not None),
        )
        shown = {side: tuple(frames[side]) for side in wanted}
        return Ran(found, ({FULL: full.frames} if full else {}) | shown)


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
