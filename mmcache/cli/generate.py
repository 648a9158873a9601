"""`mmcache generate`: generate images or videos with a cached pipeline."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmcache.cli import options
from mmcache.cli.effect import check_effect
from mmcache.cli.generate_many import ManyOptions, generate_prompts
from mmcache.cli.packages import require_packages
from mmcache.cli.request import GenerationRequest
from mmcache.cli.shared_options import with_options_of
from mmcache.cli.terminal import plain_errors, quiet_libraries, show

if TYPE_CHECKING:
    from mmcache.api.report import Report


@with_options_of(GenerationRequest, "request")
@with_options_of(ManyOptions, "many")
def generate(
    request: GenerationRequest,
    many: ManyOptions,
    prompt: options.Prompt = None,
    plan: options.Plan = None,
    interval: options.Interval = None,
    branch: options.Branch = None,
    steps: options.Steps = 50,
    seed: options.FirstSeed = 0,
    count: Annotated[int, typer.Option(min=1, help="Number of images or videos.")] = 1,
    cache: Annotated[bool, typer.Option(help="Cache; --no-cache runs every step in full.")] = True,
    report: Annotated[bool, typer.Option(help="Print a report of every step.")] = False,
    out: Annotated[Any, options.out("Folder for the images or videos.")] = Path("mmcache-out"),
    as_json: options.Json = False,
) -> None:
    """Generate images or videos with caching, one file each.

    Files are named after their seeds: seed-0.png, or seed-0.mp4 for videos.

    With --prompts one for each line of a file, named after the line's id or its hash, over any number of
    workers; the same command goes on where it was stopped.
    """
    with plain_errors():
        if not cache and (plan, interval, branch) != (None, None, None):
            raise ValueError("--no-cache runs every step in full: leave out --plan, --interval and --branch")
        if not cache:
            interval, branch = 1, None
        if many.prompts is not None:
            if prompt is not None or count != 1 or report:
                raise ValueError("--prompts FILE has the prompts: leave out PROMPT, --count and --report")
            generate_prompts(
                request,
                many,
                plan=plan,
                interval=interval,
                branch=branch,
                steps=steps,
                seed=seed,
                out=out,
                as_json=as_json,
            )
            return
        many.check_without_prompts()
        from mmcache.plans.presets import find_plan
        from mmcache.tools.media.output_folder import check_output, write_files
        from mmcache.tools.running.call_settings import check_count, check_counts, check_prompt

        # Whatever can be wrong without the model is found before torch is imported.
        task = request.selected_task
        require_packages(metrics=False, video=task.generates_video)
        check_count("count", count)
        suffix = ".mp4" if task.generates_video else ".png"
        check_output(out, tuple(f"seed-{seed + number}{suffix}" for number in range(count)))
        check_prompt(prompt)
        check_counts(steps, seed)
        if report and as_json:
            raise ValueError("--report has no effect with --json, which has the report of every step")
        if cache:
            check_effect(None if plan is None else find_plan(plan), interval, branch, steps)
        inputs = request.read_inputs()

        quiet_libraries()
        import json

        from mmcache.api.accelerate import accelerate
        from mmcache.tools.comparison.video_comparison import fps_of
        from mmcache.tools.media.generated_file import file_of
        from mmcache.tools.running.call_settings import settings_of
        from mmcache.tools.running.requests import image_requests
        from mmcache.tools.running.runner import running

        pipe, call = request.load(inputs)
        text = request.prompt_or_default(prompt, pipe)
        settings = settings_of(pipe, text, None, call)
        files, seconds = [], 0.0
        with (
            accelerate(pipe, plan, interval=interval, branch=branch) as session,
            running(pipe, settings, progress=True) as runner,
        ):
            for one in image_requests(None if text is None else [text], count, seed):
                runner.label(f"seed {one.seed}")
                sampling = runner.run_batch([one], num_inference_steps=steps)
                seconds += sampling.seconds
                # At once: whatever happens to the next image, this one is kept.
                content = file_of(sampling.images, fps_of(settings))
                files += write_files(out, {f"seed-{one.seed}{suffix}": content})
            run = session.report()
        if as_json:
            result = {"files": [str(file) for file in files], "seconds": seconds, "run": run.as_dict()}
            typer.echo(json.dumps(result, indent=2))
        else:
            show("\n".join([str(run) if report else summary(run, seconds, count), *map(str, files)]))


def summary(run: "Report", seconds: float, count: int) -> str:
    """The savings, in one line per denoiser or side network; multiply-adds are those of one run."""
    from mmcache.api.figures import format_macs

    lines = [f"{seconds:.2f} s for {count}"]
    for part in run.parts:
        steps = f"{part.full_steps} full, {part.cached_steps} cached steps"
        if part.macs and part.full_macs:
            times = part.full_macs / part.macs
            steps += f", {format_macs(part.macs)} of {format_macs(part.full_macs)} MACs ({times:.2f}x fewer)"
        lines.append(f"{part.name}: {steps}; {part.plan}")
    return "\n".join([*lines, *(f"note: {note}" for note in run.notes)])
