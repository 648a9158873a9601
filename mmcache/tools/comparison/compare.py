"""`compare(pipe, prompt)`: run a pipeline in full and cached from the same seed, and measure both."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mmcache.api.accelerate import accelerate
from mmcache.api.report import Report
from mmcache.engine.few_steps import FEW_STEPS
from mmcache.plans.plan import Plan
from mmcache.tools.comparison.comparison import Comparison
from mmcache.tools.comparison.video_comparison import VideoComparison, fps_of
from mmcache.tools.media.ffmpeg import require_ffmpeg
from mmcache.tools.media.side_by_side import eight_bits, input_panels
from mmcache.tools.quality.metrics import likeness, likeness_by_frame, require_torchmetrics
from mmcache.tools.quality.vmaf import VmafUnavailableError, vmaf
from mmcache.tools.running.call_settings import (
    check_counts,
    check_prompt,
    has_argument,
    settings_of,
)
from mmcache.tools.running.macs_counter import (
    CallCounter,
    counted_components,
    macs_by_component,
    unknown_macs,
)
from mmcache.tools.running.provenance import described, environment
from mmcache.tools.running.requests import noise
from mmcache.tools.running.runner import (
    Sampling,
    check_plain_pipeline,
    repeated,
    running,
    timed_models,
)

FULL_WARMUP = 2  # steps
VIDEO_DIMENSIONS = 5  # (N, F, H, W, C)
CACHED_WARMUP = FEW_STEPS + 1  # steps: enough for cached ones, and not so few that the engine warns


def compare(
    pipe: Any,
    prompt: str | list[str] | None = None,
    plan: Plan | str | Path | None = None,
    *,
    interval: int | None = None,
    branch: int | str | None = None,
    steps: int = 50,
    seed: int = 0,
    guidance_scale: float | None = None,
    repeats: int = 1,
    progress: bool = False,
    **call: Any,
) -> Comparison:
    """Run a pipeline in full, then cached, from the same seed.

    A short untimed run of each kind comes before the timed ones. The pipe is afterwards what it was, also
    after an exception or Ctrl-C.

    Args:
        pipe: a diffusers pipeline that returns images or videos.
        prompt: one or several; None for a pipeline that takes none, or with `prompt_embeds=...`.
        plan: a `Plan`, a preset's name or a plan file; without it the default plan of the architecture.
        interval: run a full step every N steps (overrides the plan's policy).
        branch: the skip branch of cached steps (overrides the plan's).
        steps: sampling steps of both runs (`num_inference_steps`).
        seed: of the noise, drawn on the CPU, so that it is the same on every device.
        guidance_scale: None for the pipeline's own default.
        repeats: timed runs of each kind, in turns. Their median counts.
        progress: show a bar per run, if stderr is a terminal.
        **call: more arguments of the pipeline, such as `negative_prompt`, `height`, `prompt_embeds`, `image`,
            `mask_image`, `num_frames`.

    Returns:
        The `Comparison`: images (N, H, W, C) in [0, 1], seconds, MACs, PSNR in dB, SSIM; `save(folder)`. A
        pipeline for videos gives a `VideoComparison`: (N, F, H, W, C), and the figures of each frame.

    Raises:
        UnsupportedPipelineError: no denoiser that mmcache knows, or the pipeline returns neither images nor
            videos.
        PlanFileError: no such preset or file, or not a plan.
        MissingExtraError: torchmetrics, or for videos imageio, is not installed.
        ValueError: an empty prompt, fewer steps or repeats than 1, an argument that the pipeline does not
            have, a branch that the model does not have, a pipe that is already accelerated, or images
            that are not finite numbers. All but the last are found before anything is sampled.
    """
    require_torchmetrics()
    check_plain_pipeline(pipe, "compare")
    check_counts(steps, seed, repeats)
    check_prompt(prompt)
    settings = settings_of(pipe, prompt, guidance_scale, call)
    if generates_video(pipe):
        require_ffmpeg()

    with (
        running(pipe, settings, models=timed_models(pipe), progress=progress) as runner,
        counted_components(pipe) as counters,
        accelerate(pipe, plan, interval=interval, branch=branch) as session,
    ):

        def sample(label: str, count: int, cached: bool) -> Sampling:
            session.enabled = cached
            for counter in counters.values():
                counter.calls.clear()
            runner.label(f"{label:>7s}", leave=label != "warm-up")
            return runner.run(num_inference_steps=count, generator=noise(seed))

        # A calibrated plan, or one with a branch per step, fits no other number of steps.
        cached_warmup = min(steps, CACHED_WARMUP) if session.plan.steps is None else steps
        full_warmup = min(steps, FULL_WARMUP)
        sample("warm-up", full_warmup, cached=False)
        sample("warm-up", cached_warmup, cached=True)
        runs = [(sample("full", steps, False), sample("cached", steps, True)) for _ in range(repeats)]
        report = session.report()  # of the last run, which was a cached one

    counted = "one run each" if repeats == 1 else f"the median of {repeats} runs each"
    return compared(
        pipe,
        settings | {"steps": steps, "seed": seed},
        plan=session.plan,
        full=repeated([full for full, _ in runs]),
        cached=repeated([cached for _, cached in runs]),
        report=report,
        counters=counters,
        timing=f"{counted}, after an untimed warm-up ({full_warmup} steps full, {cached_warmup} cached)",
    )


def compared(
    pipe: Any,
    settings: Mapping[str, Any],
    *,
    plan: Plan,
    full: Sampling,
    cached: Sampling,
    report: Report,
    counters: Mapping[str, CallCounter],
    timing: str,
) -> Comparison:
    """Measure how close two runs are, and put all that is known of them together.

    Args:
        pipe: the pipeline of both calls.
        settings: the arguments of both calls, with "steps" and "seed".
        plan: of the cached run.
        full, cached: the runs.
        report: of the cached run.
        counters: of its components, see `counted_components`.
        timing: how the seconds were measured, in words.

    Returns:
        The `Comparison`; for videos a `VideoComparison`.

    Raises:
        MissingExtraError: torchmetrics, or for videos imageio, is not installed.
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
        "components": macs_by_component(counters, report),
        "uncounted": unknown_macs(counters),
        "inputs": input_panels(settings, full.stills.shape),
    }
    if full.images.ndim == VIDEO_DIMENSIONS:
        return VideoComparison(**found, **frame_by_frame(cached.stills, full.stills), fps=fps_of(settings))
    return Comparison(**found)


def generates_video(pipe: Any) -> bool:
    """Whether the arguments of a pipeline tell, before sampling, that it generates videos."""
    return has_argument(pipe, "num_frames")


def frame_by_frame(cached: np.ndarray, full: np.ndarray) -> dict[str, Any]:
    """The likeness of each frame; without VMAF's tool, why there is no VMAF."""
    found: dict[str, Any] = {"frames": likeness_by_frame(cached, full)}
    try:
        return found | {"vmaf": vmaf(eight_bits(cached), eight_bits(full))}
    except VmafUnavailableError as reason:
        return found | {"no_vmaf": str(reason)}
