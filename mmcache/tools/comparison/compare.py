"""`compare(pipe, prompt)`: run a pipeline in full and cached from the same seed, and measure both."""

import inspect
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmcache.api.accelerate import accelerate
from mmcache.api.report import Report
from mmcache.api.resolved_pipeline import find_denoisers, find_side_networks
from mmcache.api.session import session_of
from mmcache.engine.few_steps import FEW_STEPS
from mmcache.errors import UnsupportedPipelineError
from mmcache.plans.plan import Plan
from mmcache.tools.comparison.comparison import Comparison
from mmcache.tools.comparison.components import macs_by_component, noted_calls
from mmcache.tools.comparison.denoiser_timer import DenoiserTimer, timed
from mmcache.tools.comparison.environment import environment
from mmcache.tools.comparison.peak_memory import watch_memory
from mmcache.tools.comparison.sampling import Sampling, together
from mmcache.tools.comparison.sampling_settings import check_counts, check_prompt, described, settings_of
from mmcache.tools.comparison.video_comparison import ClipComparison, fps_of
from mmcache.tools.media.ffmpeg import require_ffmpeg
from mmcache.tools.media.input_images import input_panels
from mmcache.tools.media.side_by_side import eight_bits
from mmcache.tools.quality.metrics import likeness, likeness_by_frame, require_torchmetrics
from mmcache.tools.quality.vmaf import VmafUnavailableError, vmaf

FULL_WARMUP = 2  # steps
CLIP_DIMENSIONS = 5  # (N, F, H, W, C)
RESULTS = ("images", "frames")  # how pipelines call what they have drawn
CACHED_WARMUP = FEW_STEPS + 1  # steps: enough for cached ones, and not so few that the engine warns


def compare(
    pipe: Any,
    prompt: str | list[str] | None = None,
    plan: Plan | str | Path | None = None,
    *,
    interval: int | None = None,
    branch: int | None = None,
    steps: int = 50,
    seed: int = 0,
    guidance_scale: float | None = None,
    repeats: int = 1,
    progress: bool = False,
    **call: Any,
) -> Comparison:
    """Run a pipeline in full, then cached, from the same seed.

    Before the timed runs there is a short untimed one of each kind. The pipe is afterwards what it was,
    also after an exception or Ctrl-C.

    Args:
        pipe: a diffusers pipeline that returns pictures or clips.
        prompt: one or several; None for a pipeline that takes none, or with `prompt_embeds=...`.
        plan: a `Plan`, a preset's name or a plan file; without it the default plan of the architecture.
        interval: full step every so many steps, in place of the plan's policy.
        branch: in place of the plan's branch.
        steps: sampling steps of both runs (`num_inference_steps`).
        seed: of the noise, drawn on the CPU, so that it is the same on every device.
        guidance_scale: None for the pipeline's own default.
        repeats: timed runs of each kind, in turns. Their median counts.
        progress: show a bar per run, if stderr is a terminal.
        **call: more arguments of the pipeline, such as `negative_prompt`, `height`, `prompt_embeds`, `image`,
            `mask_image`, `num_frames`.

    Returns:
        The `Comparison`: pictures (N, H, W, C) in [0, 1], seconds, MACs, PSNR in dB, SSIM; `save(folder)`. Of
        a pipeline that draws clips it is a `ClipComparison`: (N, F, H, W, C), and the figures of each frame.

    Raises:
        UnsupportedPipelineError: no denoiser that mmcache knows, or the pipeline returns neither pictures nor
            clips.
        PlanFileError: no such preset or file, or not a plan.
        MissingExtraError: torchmetrics, or for clips imageio, is not installed.
        ValueError: an empty prompt, fewer steps or repeats than 1, an argument that the pipeline does not
            have, a branch that the model does not have, a pipe that is already accelerated, or pictures
            that are not finite numbers. All but the last are found before anything is sampled.
    """
    require_torchmetrics()
    models = timed_models(pipe)
    if already := session_of(pipe):
        raise ValueError(
            f"this pipe is already accelerated ({already.plan}), so its full run would not be full: "
            f"call mmcache.restore(pipe) first"
        )
    check_counts(steps, seed, repeats)
    check_prompt(prompt)
    settings = settings_of(pipe, prompt, guidance_scale, call)
    if draws_clips(pipe):
        require_ffmpeg()
    options = {"interval": interval, "branch": branch}
    options = {name: value for name, value in options.items() if value is not None}

    with (
        timed(models) as timer,
        noted_calls(pipe) as others,
        accelerate(pipe, plan, **options) as session,
        own_progress_bar(pipe),
    ):

        def sample(label: str, count: int, cached: bool) -> Sampling:
            session.enabled = cached
            for counter in others.values():
                counter.calls.clear()
            pipe.set_progress_bar_config(
                desc=f"{label:>7s}", leave="warm-up" not in label, disable=None if progress else True
            )
            return one_call(pipe, settings | {"num_inference_steps": count}, seed, timer)

        # A plan with a branch per step fits no other number of steps.
        cached_warmup = steps if isinstance(session.plan.branch, tuple) else min(steps, CACHED_WARMUP)
        full_warmup = min(steps, FULL_WARMUP)
        sample("warm-up", full_warmup, cached=False)
        sample("warm-up", cached_warmup, cached=True)
        runs = [(sample("full", steps, False), sample("cached", steps, True)) for _ in range(repeats)]
        report = session.report()  # of the last run, which was a cached one
        components = macs_by_component(others, report)

    counted = "one run each" if repeats == 1 else f"the median of {repeats} runs each"
    return compared(
        pipe,
        settings | {"steps": steps, "seed": seed},
        plan=session.plan,
        full=together([full for full, _ in runs]),
        cached=together([cached for _, cached in runs]),
        report=report,
        components=components,
        timing=f"{counted}, after an untimed warm-up ({full_warmup} steps full, {cached_warmup} cached)",
    )


def timed_models(pipe: Any) -> list[torch.nn.Module]:
    """The denoisers of a pipeline and the networks beside them, whose seconds are told apart.

    Raises:
        UnsupportedPipelineError: no denoiser that mmcache knows, or only a denoiser.
    """
    denoisers = find_denoisers(pipe)
    if isinstance(pipe, torch.nn.Module):
        raise UnsupportedPipelineError(
            f"compare() calls a whole pipeline, and {type(pipe).__name__} is only the denoiser of one"
        )
    return [part.module for parts in (denoisers, find_side_networks(pipe)) for part in parts.values()]


def compared(
    pipe: Any,
    settings: Mapping[str, Any],
    *,
    plan: Plan,
    full: Sampling,
    cached: Sampling,
    report: Report,
    components: Mapping[str, Mapping[str, int | None]],
    timing: str,
) -> Comparison:
    """Measure how close two runs are, and put all that is known of them together.

    Args:
        pipe: what was called.
        settings: the arguments of both calls, with "steps" and "seed".
        plan: how the cached run was cached.
        full, cached: the runs.
        report: of the cached run.
        components: its multiply-adds, see `macs_by_component`.
        timing: how the seconds were taken, in words.

    Returns:
        The `Comparison`; of clips a `ClipComparison`.

    Raises:
        MissingExtraError: torchmetrics, or for clips imageio, is not installed.
    """
    found: dict[str, Any] = {
        "pipeline": type(pipe).__name__,
        "plan": plan,
        "settings": described(pipe, settings),
        "environment": environment(pipe),
        "timing": timing,
        "full": full,
        "cached": cached,
        "report": report,
        "likeness": likeness(cached.stills, full.stills),
        "components": components,
        "inputs": input_panels(settings, full.stills.shape),
    }
    if full.pictures.ndim == CLIP_DIMENSIONS:
        return ClipComparison(**found, **frame_by_frame(cached.stills, full.stills), fps=fps_of(settings))
    return Comparison(**found)


def draws_clips(pipe: Any) -> bool:
    """Whether it can be told from its arguments, before sampling, that a pipeline draws clips."""
    return "num_frames" in inspect.signature(type(pipe).__call__).parameters


def frame_by_frame(cached: np.ndarray, full: np.ndarray) -> dict[str, Any]:
    """The likeness of each frame; without VMAF's tool, why there is no VMAF."""
    found: dict[str, Any] = {"frames": likeness_by_frame(cached, full)}
    try:
        return found | {"vmaf": vmaf(eight_bits(cached), eight_bits(full))}
    except VmafUnavailableError as reason:
        return found | {"no_vmaf": str(reason)}


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


def one_call(pipe: Any, settings: Mapping[str, Any], seed: int, timer: DenoiserTimer) -> Sampling:
    """Call the pipe once. The clock stops when the pictures are in the CPU's memory."""
    timer.take()
    peak_memory = watch_memory(pipe._execution_device)
    started = time.perf_counter()
    result = pipe(**settings, generator=torch.Generator().manual_seed(seed), output_type="np")
    seconds = time.perf_counter() - started
    return Sampling(pictures_of(pipe, result), seconds, timer.take(), peak_memory())


def pictures_of(pipe: Any, result: Any) -> np.ndarray:
    """What a pipeline has drawn: (N, H, W, C) or, of clips, (N, F, H, W, C).

    Raises:
        UnsupportedPipelineError: neither pictures nor clips.
        ValueError: they are not finite numbers.
    """
    drawn = next((value for name in RESULTS if (value := getattr(result, name, None)) is not None), None)
    if drawn is None:
        raise UnsupportedPipelineError(
            f"pictures or clips are compared, and {type(pipe).__name__} returns a "
            f"{type(result).__name__} without {' or '.join(f'`{name}`' for name in RESULTS)}"
        )
    pictures = np.asarray(drawn)
    if not np.isfinite(pictures).all():
        raise ValueError(
            f"{type(pipe).__name__} gave pictures that are not finite numbers; in half precision that is "
            f"an overflow, so try float32 or bfloat16"
        )
    return pictures
