"""`mmcache tune`: the plan that suits a model, found by measuring."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mmcache.cli import options
from mmcache.cli.request import GenerationRequest
from mmcache.cli.search import Batch, count_option, finish, prepared
from mmcache.cli.shared_options import with_options_of
from mmcache.cli.terminal import plain_errors

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
    count: Annotated[int | None, count_option(CAPTIONS)] = None,
    steps: Annotated[int, typer.Option(help="Sampling steps that the plan is for.")] = 50,
    branches: Annotated[str, typer.Option(help="Skip branches to try; 0 is the cheapest.")] = "0",
    runs: Annotated[int, typer.Option(min=1, help="Plans to run; more find better ones.")] = 40,
    batch: Batch = 4,
    seed: options.FirstSeed = 0,
    out: Annotated[Any, options.out("The plan file.")] = Path("mmcache-plan.yaml"),
    as_json: options.Json = False,
) -> None:
    """Find the plan that is closest to the full run at a cost, and write it to a file.

    A third of the prompts are test prompts, for the figures in the file.

    A search that was stopped goes on when the same command is run again. Where even spacing is at least as
    good, that is what is written.

    Use the file with `mmcache compare --plan FILE` or `mmcache.accelerate(pipe, FILE)`.
    """
    with plain_errors():
        from mmcache.cli.parsing import parse_int, split_commas
        from mmcache.tools.tuning.target import check_target

        check_target(speedup, psnr)
        tried = [parse_int("--branches", word) for word in split_commas(branches)]
        with prepared("tune", request, out, prompts, count, CAPTIONS) as search:
            from mmcache.tools.tuning.tune import tune as find_plan
            from mmcache.tools.tuning.tuned_table import tuned_table

            found = find_plan(
                search.pipe,
                search.prompts,
                speedup=speedup,
                psnr=psnr,
                steps=steps,
                branches=tried,
                runs=runs,
                batch=batch,
                seed=seed,
                progress=True,
                journal=search.journal,
                **search.call,
            )
            finish(found, out, search, as_json, tuned_table)
