"""A full and a cached run of one order, watched; the full one only if it is not known already."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image

from mmcache.api.accelerate import accelerate
from mmcache.plans.plan import Plan
from mmcache.tools.comparison.compare import compared
from mmcache.tools.comparison.comparison import Comparison
from mmcache.tools.running.call_settings import has_argument, settings_of
from mmcache.tools.running.macs_counter import counted_components
from mmcache.tools.running.requests import noise
from mmcache.tools.running.runner import Sampling, running, timed_models
from mmcache.tools.tasks.samplers import use_sampler
from mmcache_demos.app.settings import OWN_SAMPLER
from mmcache_demos.app.watching import Progress, Stopped, Watcher, preview_of

FULL, CACHED = "full", "cached"
WATCHED = "callback_on_step_end"
WARMUP = 2  # steps: the first call of a pipeline is slower than those after it


@dataclass(frozen=True)
class Order:
    """What is run.

    Attributes:
        prompt, guidance: as the pipeline takes them.
        plan: how the cached run is cached; None for the recommended one.
        steps, seed, sampler: of both runs.
        call: further arguments of the pipeline.
        previews: whether pictures are shown on the way.
    """

    prompt: str
    guidance: float
    plan: Plan | None
    steps: int
    seed: int
    sampler: str
    call: Mapping[str, Any]
    previews: bool = False


def run_both(
    pipe: Any,
    order: Order,
    full: Sampling | None,
    stop: threading.Event,
    tell: Callable[[Progress], None],
) -> Comparison:
    """Run an order; the pipe is afterwards what it was, however the run ends.

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
    with (
        sampling_with(pipe, order.sampler),
        running(pipe, settings, models=timed_models(pipe)) as runner,
        counted_components(pipe) as counters,
        accelerate(pipe, order.plan) as session,
    ):

        def uncounted_preview(latents: torch.Tensor) -> Image.Image | None:
            with ExitStack() as pauses:
                for counter in counters.values():
                    pauses.enter_context(counter.paused())
                return preview_of(pipe, latents)

        def sample(side: str) -> Sampling:
            session.enabled = side == CACHED
            for counter in counters.values():
                counter.calls.clear()
            on_the_way = uncounted_preview if order.previews else None
            watcher = Watcher(side, order.steps, session if side == CACHED else None, stop, tell, on_the_way)
            watching = {WATCHED: watcher} if has_argument(pipe, WATCHED) else {}
            run = runner.run(**watching, num_inference_steps=order.steps, generator=noise(order.seed))
            if stop.is_set():
                raise Stopped
            return replace(run, seconds=run.seconds - watcher.seconds)

        if full is None:
            session.enabled = False
            runner.run(num_inference_steps=min(order.steps, WARMUP), generator=noise(order.seed))
            full = sample(FULL)
        cached = sample(CACHED)
        timing = f"one run each; before the full one an untimed warm-up of {WARMUP} steps"
        return compared(
            pipe,
            settings | {"steps": order.steps, "seed": order.seed},
            plan=session.plan,
            full=full,
            cached=cached,
            report=session.report(),
            counters=counters,
            timing=timing,
        )


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
