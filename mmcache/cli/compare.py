"""`mmcache compare`: a full and a cached run of a pipeline, side by side."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mmcache.cli import options
from mmcache.cli.effect import check_effect
from mmcache.cli.request import GenerationRequest
from mmcache.cli.shared_options import with_options_of
from mmcache.cli.terminal import plain_errors, quiet_libraries, show


@with_options_of(GenerationRequest, "request")
def compare(
    request: GenerationRequest,
    prompt: options.Prompt = None,
    plan: options.Plan = None,
    interval: options.Interval = None,
    branch: options.Branch = None,
    steps: options.Steps = 50,
    seed: options.Seed = 0,
    repeats: Annotated[int, typer.Option(help="Timed runs of each kind, in turns; their median counts.")] = 1,
    out: Annotated[Any, options.out("Folder for the images and the report.")] = Path("mmcache-out"),
    as_json: options.Json = False,
) -> None:
    """Run a pipeline in full and cached from the same seed, and compare images and time.

    Writes side-by-side.png, full.png, cached.png and report.json; for videos also the three as mp4.

    The times leave out a short warm-up run of each kind.
    """
    with plain_errors():
        from mmcache.cli.packages import require_packages
        from mmcache.plans.presets import find_plan
        from mmcache.tools.comparison.files import FILES, VIDEO_FILES
        from mmcache.tools.media.output_folder import check_output
        from mmcache.tools.running.call_settings import check_counts, check_prompt

        # Whatever can be wrong without the model is found before torch is imported.
        task = request.selected_task
        require_packages(video=task.generates_video)
        check_output(out, VIDEO_FILES if task.generates_video else FILES)
        check_prompt(prompt)
        check_counts(steps, seed, repeats)
        check_effect(None if plan is None else find_plan(plan), interval, branch, steps)
        inputs = request.read_inputs()

        quiet_libraries()
        from mmcache.tools.comparison.compare import compare as run_both
        from mmcache.tools.comparison.comparison_table import comparison_table

        pipe, call = request.load(inputs)
        result = run_both(
            pipe,
            request.prompt_or_default(prompt, pipe),
            plan,
            interval=interval,
            branch=branch,
            steps=steps,
            seed=seed,
            repeats=repeats,
            progress=True,
            **call,
        )
        files = result.save(out)
        if as_json:
            typer.echo(result.as_json())
        else:
            show(comparison_table(result, files))
