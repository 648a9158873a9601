"""`mmcache compare`: a pipeline in full and cached, side by side."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mmcache.cli import options
from mmcache.cli.terminal import plain_errors, quiet_libraries, show


def compare(
    prompt: Annotated[
        str | None,
        typer.Argument(help="What the picture shows.", show_default="the shipped miniature's, for each task"),
    ] = None,
    task: options.Task = "text-to-image",
    model: options.Model = None,
    image: options.Image = None,
    mask: options.Mask = None,
    frames: options.Frames = None,
    controlnet: options.ControlNet = None,
    motion_adapter: options.MotionAdapter = None,
    plan: Annotated[
        str | None,
        typer.Option(
            help="How to cache: a preset (see `mmcache presets`) or a plan file.",
            show_default="the architecture's own",
        ),
    ] = None,
    interval: Annotated[
        int | None,
        typer.Option(
            help="A full step every so many steps, in place of the plan's policy.", show_default=False
        ),
    ] = None,
    branch: Annotated[
        int | None,
        typer.Option(
            help="Skip branch of cached steps, in place of the plan's: 0 is the cheapest.", show_default=False
        ),
    ] = None,
    steps: Annotated[int, typer.Option(help="Sampling steps.")] = 50,
    seed: Annotated[int, typer.Option(help="Seed of the noise, the same for both runs.")] = 0,
    guidance_scale: options.GuidanceScale = None,
    negative_prompt: options.NegativePrompt = None,
    height: options.Height = None,
    width: options.Width = None,
    device: options.Device = "auto",
    dtype: options.Dtype = "auto",
    repeats: Annotated[int, typer.Option(help="Timed runs of each kind, in turns; their median counts.")] = 1,
    threads: options.Threads = None,
    out: Annotated[Path, typer.Option(help="Folder for the pictures and the report.")] = Path("mmcache-out"),
    as_json: options.Json = False,
) -> None:
    """Run a pipeline in full and cached from the same seed, and show pictures, time and difference.

    Writes side-by-side.png, full.png, cached.png and report.json; for clips also the three as mp4.

    The times leave out a short warm-up run of each kind.
    """
    with plain_errors(), quiet_libraries():
        import torch

        from mmcache.demos import GUIDANCE_SCALE
        from mmcache.measuring.compare import compare as run_both
        from mmcache.measuring.comparison_table import comparison_table
        from mmcache.measuring.ffmpeg import require_ffmpeg
        from mmcache.measuring.metrics import require_torchmetrics
        from mmcache.measuring.output_folder import check_output
        from mmcache.measuring.sampling_settings import check_counts, check_prompt, takes_prompt
        from mmcache.measuring.task_inputs import size_like, task_arguments
        from mmcache.measuring.tasks import check_options, find_task
        from mmcache.plans.plan_file import find_plan

        # Whatever can be wrong without the model is found before it is loaded.
        chosen = find_task(task)
        require_torchmetrics()
        if chosen.draws_clips:
            require_ffmpeg()
        check_output(out, chosen.files)
        check_prompt(prompt)
        check_counts(steps, seed, repeats)
        if plan is not None:
            find_plan(plan)
        given: dict[str, Any] = {
            "image": image,
            "mask": mask,
            "frames": frames,
            "controlnet": controlnet,
            "motion_adapter": motion_adapter,
        }
        check_options(chosen, model, given)
        call = task_arguments(given if model is not None else default_inputs(chosen, given))

        if threads is not None:
            torch.set_num_threads(threads)
        part = given.get(chosen.part)
        pipe = load_given_or_shipped(chosen, model, part, device, dtype)
        if takes_prompt(pipe):
            prompt = chosen.prompt if prompt is None else prompt
            if model is None and guidance_scale is None:
                guidance_scale = GUIDANCE_SCALE
        if chosen.sized_like_image:
            call = size_like(pipe, call["image"]) | call
        optional = {"negative_prompt": negative_prompt, "height": height, "width": width}
        result = run_both(
            pipe,
            prompt,
            plan,
            interval=interval,
            branch=branch,
            steps=steps,
            seed=seed,
            guidance_scale=guidance_scale,
            repeats=repeats,
            progress=True,
            **(call | {name: value for name, value in optional.items() if value is not None}),
        )
        files = result.save(out)
        if as_json:
            typer.echo(result.as_json())
        else:
            show(comparison_table(result, files))


def load_given_or_shipped(task: Any, model: str | None, part: str | None, device: str, dtype: str) -> Any:
    """The model that was named, with its further part, or else the shipped miniature for the task."""
    from mmcache.demos import load_miniature
    from mmcache.loading import find_device, find_dtype
    from mmcache.measuring.tasks import load_for

    if model is not None:
        return load_for(task, model, part, device, dtype)
    place = find_device(device)
    return load_miniature(task.miniature).to(place, find_dtype(dtype, place))


def default_inputs(task: Any, given: dict[str, Any]) -> dict[str, Any]:
    """What was given, or the miniature's own; the shipped mask belongs to the shipped picture."""
    from mmcache import demos

    folder = Path(demos.__file__).parent / "inputs"
    shipped = {} if given.get("image") else {name: folder / file for name, file in task.inputs.items()}
    return {**shipped, **task.settings, **{name: value for name, value in given.items() if value is not None}}
