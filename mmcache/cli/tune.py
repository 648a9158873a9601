"""`mmcache tune`: the plan that suits a model, found by measuring."""

from pathlib import Path
from typing import Annotated

import typer

from mmcache.cli import options
from mmcache.cli.request import GenerationRequest
from mmcache.cli.shared_options import with_options_of
from mmcache.cli.terminal import plain_errors, quiet_libraries, show

CAPTIONS = 12  # of the shipped miniature, where no prompts are given


@with_options_of(GenerationRequest, "request")
def tune(
    request: GenerationRequest,
    speedup: Annotated[
        float | None,
        typer.Option(help="How many times fewer multiply-adds the denoiser is to take.", show_default=False),
    ] = None,
    psnr: Annotated[
        float | None,
        typer.Option(help="Instead: how close to the full run, in dB over the prompts.", show_default=False),
    ] = None,
    prompts: options.Prompts = None,
    count: Annotated[
        int | None,
        typer.Option(min=1, help="How many prompts.", show_default="all of the file, or 12 captions"),
    ] = None,
    steps: Annotated[int, typer.Option(help="Sampling steps that the plan is for.")] = 50,
    branches: Annotated[str, typer.Option(help="Skip branches to try; 0 is the cheapest.")] = "0",
    runs: Annotated[int, typer.Option(min=1, help="Plans to run; more find better ones.")] = 40,
    batch: Annotated[int, typer.Option(min=1, help="Prompts in one call of the pipeline.")] = 4,
    seed: options.FirstSeed = 0,
    out: Annotated[Path, typer.Option(help="The plan file.")] = Path("mmcache-plan.yaml"),
    as_json: options.Json = False,
) -> None:
    """Find the plan that is closest to the full run at a cost, and write it to a file.

    A third of the prompts are test prompts, for the figures in the file.

    Use the file with `mmcache compare --plan FILE` or `mmcache.accelerate(pipe, FILE)`.
    """
    with plain_errors(), quiet_libraries():
        from mmcache.cli.parsing import find_prompts, parse_int, split_commas
        from mmcache.tools.media.output_folder import check_output
        from mmcache.tools.tuning.tune import check_target
        from mmcache.tools.tuning.tune import tune as find_plan
        from mmcache.tools.tuning.tuned_table import tuned_table

        # Whatever can be wrong without the model is found before it is loaded.
        check_target(speedup, psnr)
        tried = [parse_int("--branches", word) for word in split_commas(branches)]
        check_output(out.parent, (out.name,))
        inputs = request.read_inputs()
        texts, _ = find_prompts(prompts, count, request.selected_task, request.miniature, CAPTIONS)
        if texts is None:
            raise ValueError(f"{request.model}: wants prompts, so give --prompts FILE, one in each line")

        pipe, call = request.load(inputs)
        found = find_plan(
            pipe,
            texts,
            speedup=speedup,
            psnr=psnr,
            steps=steps,
            branches=tried,
            runs=runs,
            batch=batch,
            seed=seed,
            progress=True,
            **call,
        )
        found.save(out)
        if as_json:
            typer.echo(found.as_json())
        else:
            show(tuned_table(found, out))
