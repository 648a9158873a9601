"""`mmcache sweep`: policies, intervals, branches and forecasts against fewer steps, in tables and plots."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mmcache.cli import options
from mmcache.cli.completion import complete_plan
from mmcache.cli.packages import require_packages
from mmcache.cli.parsing import (
    check_prompts_option,
    find_model_figures,
    find_prompts,
    parse_branch,
    parse_forecast,
    parse_int,
    parse_policy,
    split_commas,
)
from mmcache.cli.request import GenerationRequest
from mmcache.cli.shared_options import with_options_of
from mmcache.cli.terminal import plain_errors, quiet_libraries, show


@with_options_of(GenerationRequest, "request")
def sweep(
    request: GenerationRequest,
    prompts: options.Prompts = None,
    count: Annotated[
        int | None,
        typer.Option(min=1, help="How many prompts.", show_default="all of the file, or 8 captions"),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Images of each prompt.")] = 1,
    seed: options.FirstSeed = 0,
    steps: Annotated[int, typer.Option(help="Sampling steps of the full and the cached runs.")] = 50,
    intervals: Annotated[str, typer.Option(help="Intervals: a full step every N steps.")] = "2,3,5",
    branches: Annotated[str, typer.Option(help="Skip branches of cached steps; 0 is the cheapest.")] = "0,1",
    forecasts: Annotated[
        str, typer.Option(help="hold, and taylor with an order: taylor1, taylor2, ...")
    ] = "hold, taylor1, taylor2",
    policies: Annotated[str, typer.Option(help="uniform, nonuniform.")] = "uniform, nonuniform",
    plan: Annotated[
        list[str] | None,
        typer.Option(
            help="One more configuration: a preset or a plan file. May be repeated.",
            show_default=False,
            autocompletion=complete_plan,
        ),
    ] = None,
    last_output: Annotated[
        bool, typer.Option(help="Add configurations that only repeat the denoiser's last output.")
    ] = True,
    scheduler: options.Scheduler = None,
    lpips: Annotated[
        Path | None,
        typer.Option(
            help="AlexNet's weights, for LPIPS.", show_default="torch's own folder, if they are in it"
        ),
    ] = None,
    clip: Annotated[
        Path | None, typer.Option(help="Folder of a CLIP model, for the CLIP score.", show_default=False)
    ] = None,
    batch: Annotated[int, typer.Option(help="Images in one call of the pipeline.")] = 8,
    out: Annotated[Any, options.out("Folder for the output.")] = Path("mmcache-sweep"),
    as_json: options.Json = False,
) -> None:
    """Show what each way of caching saves and costs, beside fewer steps without a cache.

    Every combination of policy, interval, branch and forecast runs the same prompts from the same noise.
    Writes table.csv, table.md, latents.csv, pareto.png, pareto.html, contact-sheet.png and recommended.yaml.

    A sweep that was stopped goes on when the same command is run again.
    """
    with plain_errors():
        from mmcache.tools.media.output_folder import check_output
        from mmcache.tools.running.call_settings import check_count, check_counts, takes_prompt
        from mmcache.tools.sweeping.files import FILES
        from mmcache.tools.tasks.samplers import find_sampler, use_sampler

        # Whatever can be wrong without the model is found before torch is imported.
        require_packages(video=request.selected_task.generates_video, plots=True)
        check_counts(steps, seed)
        check_count("seeds", seeds)
        check_count("batch", batch)
        axes = grid_axes(intervals, branches, forecasts, policies, plan or (), last_output)
        if scheduler is not None:
            find_sampler(scheduler)
        check_output(out, FILES)
        inputs = request.read_inputs()
        check_prompts_option(prompts, count, request.miniature)

        quiet_libraries()
        from mmcache.tools.sweeping.grid import grid
        from mmcache.tools.sweeping.sweep import sweep as run
        from mmcache.tools.sweeping.table import terminal

        grid(steps, **axes)
        texts, figures = find_prompts(prompts, count, request.selected_task, request.miniature)
        model_figures, notes = find_model_figures(lpips, clip)

        pipe, call = request.load(inputs)
        if scheduler is not None:
            use_sampler(pipe, scheduler)
        if takes_prompt(pipe) and texts is None:
            raise ValueError(f"{request.model}: wants prompts, so give --prompts FILE, one in each line")
        try:
            result = run(
                pipe,
                texts,
                out,
                seeds=seeds,
                seed=seed,
                steps=steps,
                **axes,
                figures=[*figures, *model_figures],
                notes=notes,
                batch=batch,
                progress=True,
                **call,
            )
        except KeyboardInterrupt:
            typer.echo("finished configurations are kept: the same command goes on from there", err=True)
            raise
        if as_json:
            typer.echo(result.as_json())
        else:
            show(terminal(result))


def grid_axes(
    intervals: str,
    branches: str,
    forecasts: str,
    policies: str,
    plans: Sequence[str],
    last_output: bool,
) -> dict[str, Any]:
    """The arguments of `grid` from the options.

    Raises:
        ValueError: a word that is no number, forecast, policy or plan.
    """
    from mmcache.plans.presets import find_plan

    return {
        "intervals": [parse_int("--intervals", word) for word in split_commas(intervals)],
        "branches": [parse_branch("--branches", word) for word in split_commas(branches)],
        "forecasts": [parse_forecast(word) for word in split_commas(forecasts)],
        "policies": [parse_policy(word) for word in split_commas(policies)],
        "plans": [find_plan(name) for name in plans],
        "last_output": last_output,
    }
