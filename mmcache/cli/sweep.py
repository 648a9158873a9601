"""`mmcache sweep`: policies, intervals, branches and forecasts against fewer steps, in tables and plots."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mmcache.cli import options
from mmcache.cli.compare import default_inputs, load_given_or_shipped
from mmcache.cli.terminal import plain_errors, quiet_libraries, show
from mmcache.cli.typed import find_judges, find_prompts, forecast_of, policy_of, whole, words_of


def sweep(
    prompts: options.Prompts = None,
    count: Annotated[
        int | None,
        typer.Option(min=1, help="How many prompts.", show_default="all of the file, or 8 captions"),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Pictures of each prompt.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the first picture's noise; the next has the next.")] = 0,
    steps: Annotated[int, typer.Option(help="Sampling steps of the full and the cached runs.")] = 50,
    intervals: Annotated[str, typer.Option(help="A full step every so many.")] = "2,3,5",
    branches: Annotated[str, typer.Option(help="Skip branches of cached steps; 0 is the cheapest.")] = "0,1",
    forecasts: Annotated[
        str, typer.Option(help="hold, and taylor with an order: taylor1, taylor2, ...")
    ] = "hold,taylor1,taylor2",
    policies: Annotated[str, typer.Option(help="uniform, nonuniform.")] = "uniform,nonuniform",
    plan: Annotated[
        list[str] | None,
        typer.Option(help="One more line: a preset or a plan file. May be repeated.", show_default=False),
    ] = None,
    last_output: Annotated[
        bool, typer.Option(help="With lines that only repeat the denoiser's last output.")
    ] = True,
    scheduler: Annotated[
        str | None,
        typer.Option(help="ddim, pndm (PLMS), euler, heun, ...", show_default="the pipeline's own"),
    ] = None,
    task: options.Task = "text-to-image",
    model: options.Model = None,
    image: options.Image = None,
    mask: options.Mask = None,
    frames: options.Frames = None,
    controlnet: options.ControlNet = None,
    motion_adapter: options.MotionAdapter = None,
    guidance_scale: options.GuidanceScale = None,
    negative_prompt: options.NegativePrompt = None,
    height: options.Height = None,
    width: options.Width = None,
    lpips: Annotated[
        Path | None,
        typer.Option(
            help="AlexNet's weights, for LPIPS.", show_default="torch's own folder, if they are in it"
        ),
    ] = None,
    clip: Annotated[
        Path | None, typer.Option(help="Folder of a CLIP model, for the CLIP score.", show_default=False)
    ] = None,
    batch: Annotated[int, typer.Option(help="Pictures in one call of the pipeline.")] = 8,
    device: options.Device = "auto",
    dtype: options.Dtype = "auto",
    threads: options.Threads = None,
    out: Annotated[Path, typer.Option(help="Folder for everything that is written.")] = Path("mmcache-sweep"),
    as_json: options.Json = False,
) -> None:
    """Show what each way of caching saves and costs, beside fewer steps without a cache.

    Every combination of policy, interval, branch and forecast draws the same prompts from the same noise.
    Writes table.csv, table.md, latents.csv, pareto.png, pareto.html and contact-sheet.png.

    A sweep that was stopped goes on when the same command is given again.
    """
    with plain_errors(), quiet_libraries():
        import torch

        from mmcache.demos import GUIDANCE_SCALE
        from mmcache.measuring.ffmpeg import require_ffmpeg
        from mmcache.measuring.metrics import require_torchmetrics
        from mmcache.measuring.output_folder import check_output
        from mmcache.measuring.sampling_settings import check_count, check_counts, takes_prompt
        from mmcache.measuring.task_inputs import size_like, task_arguments
        from mmcache.measuring.tasks import check_options, find_task
        from mmcache.plans.plan_file import find_plan
        from mmcache.sweeping.grid import grid
        from mmcache.sweeping.plot import require_matplotlib
        from mmcache.sweeping.samplers import find_sampler, use_sampler
        from mmcache.sweeping.sweep import FILES
        from mmcache.sweeping.sweep import sweep as run
        from mmcache.sweeping.table import terminal

        # Whatever can be wrong without the model is found before it is loaded.
        chosen = find_task(task)
        require_torchmetrics()
        require_matplotlib()
        if chosen.draws_clips:
            require_ffmpeg()
        check_counts(steps, seed)
        check_count("seeds", seeds)
        check_count("batch", batch)
        lines: dict[str, Any] = {
            "intervals": [whole("--intervals", word) for word in words_of(intervals)],
            "branches": [whole("--branches", word) for word in words_of(branches)],
            "forecasts": [forecast_of(word) for word in words_of(forecasts)],
            "policies": [policy_of(word) for word in words_of(policies)],
            "plans": [find_plan(name) for name in plan or ()],
            "last_output": last_output,
        }
        grid(steps, **lines)
        if scheduler is not None:
            find_sampler(scheduler)
        check_output(out, FILES)
        texts, figures = find_prompts(prompts, count, chosen, model)
        given: dict[str, Any] = {
            "image": image,
            "mask": mask,
            "frames": frames,
            "controlnet": controlnet,
            "motion_adapter": motion_adapter,
        }
        check_options(chosen, model, given)
        call = task_arguments(given if model is not None else default_inputs(chosen, given))
        judges, notes = find_judges(lpips, clip)

        if threads is not None:
            torch.set_num_threads(threads)
        part = given.get(chosen.part)
        pipe = load_given_or_shipped(chosen, model, part, device, dtype)
        if scheduler is not None:
            use_sampler(pipe, scheduler)
        if takes_prompt(pipe) and texts is None:
            raise ValueError(f"{model}: wants prompts, so give --prompts FILE, one in each line")
        if takes_prompt(pipe) and model is None and guidance_scale is None:
            guidance_scale = GUIDANCE_SCALE
        if chosen.sized_like_image:
            call = size_like(pipe, call["image"]) | call
        optional = {"negative_prompt": negative_prompt, "height": height, "width": width}
        try:
            result = run(
                pipe,
                texts,
                out,
                seeds=seeds,
                seed=seed,
                steps=steps,
                **lines,
                figures=[*figures, *judges],
                notes=notes,
                guidance_scale=guidance_scale,
                batch=batch,
                progress=True,
                **(call | {name: value for name, value in optional.items() if value is not None}),
            )
        except KeyboardInterrupt:
            typer.echo("finished lines are kept: the same command goes on from there", err=True)
            raise
        if as_json:
            typer.echo(result.as_json())
        else:
            show(terminal(result))
