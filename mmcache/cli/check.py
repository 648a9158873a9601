"""`mmcache check`: what a model would gain from caching, without its weights."""

from typing import Annotated

import typer

from mmcache.cli import options
from mmcache.cli.completion import complete_model
from mmcache.cli.demos_package import MINIATURES, require_demos
from mmcache.cli.inspect import CountedFrames, CountedSide, check_source
from mmcache.cli.terminal import plain_errors, quiet_libraries, show

NOTHING_TO_CACHE = 1  # exit code


def check(
    model: Annotated[
        str,
        typer.Argument(
            help="A pipeline or denoiser: a folder, an id on the Hugging Face hub, or a shipped miniature's "
            "name. Only the config files are read, so weights need not be there.",
            autocompletion=complete_model,
        ),
    ],
    steps: options.Steps = 50,
    scheduler: options.Scheduler = None,
    plan: options.Plan = None,
    height: CountedSide = None,
    width: CountedSide = None,
    frames: CountedFrames = None,
    as_json: options.Json = False,
) -> None:
    """Check a model before it is downloaded: is it known, what would be gained, what will be refused.

    Exits with 1 where nothing can be cached.
    """
    with plain_errors():
        from mmcache.plans.presets import find_plan
        from mmcache.tools.running.call_settings import check_count
        from mmcache.tools.tasks.miniatures import is_miniature
        from mmcache.tools.tasks.samplers import find_sampler

        # Whatever can be wrong without the model is found before torch is imported.
        check_count("steps", steps)
        if plan is not None:
            find_plan(plan)
        if scheduler is not None:
            find_sampler(scheduler)
        check_source(model)

        quiet_libraries()
        import json
        from dataclasses import replace

        from mmcache.architectures.example_call import Size
        from mmcache.tools.inspecting.check_table import check_table, next_command
        from mmcache.tools.inspecting.checking import check_model
        from mmcache.tools.inspecting.model_parts import parts_of_config, parts_of_pipeline
        from mmcache.tools.inspecting.sizes import sizes_without_effect
        from mmcache.tools.tasks.samplers import sampler_like

        parts = (
            parts_of_pipeline(require_demos(MINIATURES).load_miniature(model))
            if is_miniature(model)
            else parts_of_config(model)
        )
        if scheduler is not None:
            parts = replace(parts, sampler=sampler_like(parts.sampler, scheduler))
        size = Size(frames=frames, height=height, width=width)
        if unused := sizes_without_effect(parts.denoisers.values(), size):
            raise ValueError(f"--{unused[0]}: makes no difference to this model: leave it out")
        found = check_model(model, parts, steps=steps, size=size, plan=plan)
        if as_json:
            typer.echo(json.dumps(found.as_dict(), indent=2))
        else:
            show(check_table(found))
            if following := next_command(found):
                show(following)
        if not found.fits:
            raise typer.Exit(NOTHING_TO_CACHE)
