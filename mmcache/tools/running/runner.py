"""One runner for every tool that calls a pipeline: timing, warm-up, progress bar, batches, images."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
import torch

from mmcache.api.resolved_pipeline import find_denoisers, find_side_networks
from mmcache.api.session import session_of
from mmcache.caller import warn
from mmcache.errors import UnsupportedPipelineError
from mmcache.tools.running.denoiser_timer import DenoiserTimer, timed
from mmcache.tools.running.peak_memory import watch_memory
from mmcache.tools.running.requests import ImageRequest, arguments_for
from mmcache.tools.running.sizes import changed_sizes, check_memory

RESULTS = ("images", "frames")  # the fields in which pipelines return what they generated


@dataclass(frozen=True, eq=False)
class Sampling:
    """One call of the pipeline, or several calls put together.

    Attributes:
        images: (N, H, W, C), float, in [0, 1], as the pipeline returned them (not rounded to 8 bits); videos
            are (N, F, H, W, C).
        seconds: wall time of the call; the median of repeated calls, the sum of batches.
        denoiser_seconds: the part of it that the denoisers took, side networks such as ControlNets included.
        peak_memory: the most bytes in use at any time (`peak_memory.watch_memory`); None where not known.
        seconds_each: wall time of each of several calls.
    """

    images: np.ndarray
    seconds: float
    denoiser_seconds: float
    peak_memory: int | None = None
    seconds_each: tuple[float, ...] = ()

    @property
    def stills(self) -> np.ndarray:
        """Images or frames alike, (N or N * F, H, W, C)."""
        return self.images.reshape(-1, *self.images.shape[-3:])


class Runner:
    """Calls one pipeline; made by `running`.

    Attributes:
        pipe: the pipeline.
        settings: the arguments that all calls have in common.
    """

    def __init__(
        self, pipe: Any, settings: Mapping[str, Any], timer: DenoiserTimer | None, progress: bool
    ) -> None:
        self.pipe = pipe
        self.settings = settings
        self._timer = timer
        self._said_sizes = False
        self._disable_bar = None if progress else True  # None: only where stderr is a terminal
        self.label("")

    def label(self, text: str, *, leave: bool = True) -> None:
        """Set the words before the progress bar, and whether the bar stays when it is full."""
        self.pipe.set_progress_bar_config(desc=text, leave=leave, disable=self._disable_bar)

    def run(self, **arguments: Any) -> Sampling:
        """Call the pipeline once. The clock stops when the images are in the CPU's memory.

        Args:
            **arguments: added to the common settings.
        """
        timer = self._timer
        if timer is not None:
            timer.take()
        # Torch keeps one peak for the whole device, so it is reset only for those who asked to measure.
        peak = watch_memory(self.pipe._execution_device) if timer is not None else lambda: None
        started = time.perf_counter()
        result = self.pipe(**{**self.settings, **arguments}, output_type="np")
        seconds = time.perf_counter() - started
        denoiser_seconds = timer.take() if timer is not None else 0.0
        images = images_of(self.pipe, result)
        self._say_sizes(images)
        return Sampling(images, seconds, denoiser_seconds, peak())

    def _say_sizes(self, images: np.ndarray) -> None:
        """Warn once of a size that is not the one that was asked for."""
        if not self._said_sizes and (changed := changed_sizes(self.settings, images.shape)):
            self._said_sizes = True
            warn(changed)

    def run_batch(self, requests: Sequence[ImageRequest], **arguments: Any) -> Sampling:
        """Call the pipeline once for these images, each from noise of its own.

        Raises:
            ValueError: the pipeline returned another number of images.
        """
        sampling = self.run(**arguments, **arguments_for(self.pipe, requests, self.settings))
        if len(sampling.images) != len(requests):
            raise ValueError(
                f"{type(self.pipe).__name__} returned {len(sampling.images)} images for {len(requests)} "
                f"prompts; leave out arguments that change the number of images"
            )
        return sampling


@contextmanager
def running(
    pipe: Any,
    settings: Mapping[str, Any],
    *,
    models: Iterable[torch.nn.Module] = (),
    progress: bool = False,
) -> Iterator[Runner]:
    """Run a pipeline within the block; its progress bar is afterwards what it was.

    Args:
        pipe: a diffusers pipeline.
        settings: the arguments that all calls have in common.
        models: those whose seconds are measured separately (`timed_models`); without any, neither their
            seconds nor the peak memory are measured. Sessions that begin within the block are timed too.
        progress: show a bar per call, if stderr is a terminal.

    Raises:
        ValueError: what is to be generated does not fit into this machine's memory.
    """
    chosen = list(models)
    check_memory(pipe, settings)
    with own_progress_bar(pipe), timed(chosen) as timer:
        yield Runner(pipe, settings, timer if chosen else None, progress)


@contextmanager
def own_progress_bar(pipe: Any) -> Iterator[None]:
    """Put the pipe's settings of its progress bar back at the end of the block."""
    before = pipe.__dict__.get("_progress_bar_config")
    try:
        yield
    finally:
        if before is None:
            pipe.__dict__.pop("_progress_bar_config", None)
        else:
            pipe._progress_bar_config = before


def timed_models(pipe: Any) -> list[torch.nn.Module]:
    """The denoisers of a pipeline and the networks beside them."""
    parts = (*find_denoisers(pipe).values(), *find_side_networks(pipe).values())
    return [part.module for part in parts]


def check_plain_pipeline(pipe: Any, function: str) -> None:
    """Refuse what cannot be run both full and cached.

    Args:
        pipe: what a tool was called with.
        function: the tool, for the message.

    Raises:
        UnsupportedPipelineError: no denoiser that mmcache knows, or only a denoiser.
        ValueError: the pipe is already accelerated.
    """
    find_denoisers(pipe)
    if isinstance(pipe, torch.nn.Module):
        raise UnsupportedPipelineError(
            f"{function}() calls a whole pipeline, and {type(pipe).__name__} is only the denoiser of one"
        )
    if session := session_of(pipe):
        raise ValueError(
            f"this pipe is already accelerated ({session.plan}), so its full run would not be full: "
            f"call mmcache.restore(pipe) first"
        )


def images_of(pipe: Any, result: Any) -> np.ndarray:
    """The output of a pipeline: images (N, H, W, C) or videos (N, F, H, W, C).

    Raises:
        UnsupportedPipelineError: neither images nor videos.
        ValueError: they are not finite numbers.
    """
    output = next((value for name in RESULTS if (value := getattr(result, name, None)) is not None), None)
    if output is None:
        raise UnsupportedPipelineError(
            f"images or videos are compared, and {type(pipe).__name__} returns a "
            f"{type(result).__name__} without {' or '.join(f'`{name}`' for name in RESULTS)}"
        )
    images = np.asarray(output)
    if not np.isfinite(images).all():
        raise ValueError(
            f"{type(pipe).__name__} returned images that are not finite numbers; in half precision that is "
            f"an overflow, so try float32 or bfloat16"
        )
    return images


def repeated(calls: Sequence[Sampling]) -> Sampling:
    """The same call several times as one: the median of its seconds, the most of its memory."""
    return replace(
        calls[0],
        seconds=median(call.seconds for call in calls),
        denoiser_seconds=median(call.denoiser_seconds for call in calls),
        peak_memory=most_memory(calls),
        seconds_each=tuple(call.seconds for call in calls),
    )


def joined(batches: Sequence[Sampling]) -> Sampling:
    """Batches as one run: all images, the sum of the seconds, the most of the memory."""
    return Sampling(
        np.concatenate([batch.images for batch in batches]),
        sum(batch.seconds for batch in batches),
        sum(batch.denoiser_seconds for batch in batches),
        most_memory(batches),
        tuple(batch.seconds for batch in batches),
    )


def most_memory(calls: Sequence[Sampling]) -> int | None:
    known = [call.peak_memory for call in calls if call.peak_memory is not None]
    return max(known, default=None)
