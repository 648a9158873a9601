"""`mmcache calibrate`: plans of several costs from one recording."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mmcache.cli import options
from mmcache.cli.request import GenerationRequest
from mmcache.cli.search import Batch, count_option, finish, prepared
from mmcache.cli.shared_options import with_options_of
from mmcache.cli.terminal import plain_errors

CAPTIONS = 8  # of the shipped miniature, where no prompts are given


@with_options_of(GenerationRequest, "request")
def calibrate(
    request: GenerationRequest,
    costs: Annotated[
        str, typer.Option(help="How many times fewer multiply-adds the denoiser is to take.")
    ] = "2,2.5,3.5,5,7,8",
    prompts: options.Prompts = None,
    count: Annotated[int | None, count_option(CAPTIONS)] = None,
    held_out: Annotated[
        int, typer.Option(min=0, help="So many of the prompts, the last ones, only measure the plans.")
    ] = 0,
    steps: Annotated[int, typer.Option(help="Sampling steps that the plans are for.")] = 50,
    batch: Batch = 4,
    seed: options.FirstSeed = 0,
    out: Annotated[Any, options.out("The file with the plans.")] = Path("mmcache-plans.yaml"),
    as_json: options.Json = False,
) -> None:
    """Plan several costs from one and a half full runs of a few prompts, and write the plans to a file.

    A calibration that was stopped goes on when the same command is run again.

    Use one of them with `mmcache compare --plan FILE#3.5x` or `mmcache.accelerate(pipe, "FILE#3.5x")`.
    """
    with plain_errors():
        from mmcache.cli.parsing import parse_finite, split_commas

        wanted = [parse_finite("--costs", word) for word in split_commas(costs)]
        if not wanted:
            raise ValueError("--costs: names no cost; give some such as 2,2.5,3.5")
        if count is not None and held_out >= count:
            raise ValueError(f"--held-out {held_out} of --count {count}: leaves no prompt to calibrate with")
        with prepared("calibrate", request, out, prompts, count, CAPTIONS + held_out) as search:
            from mmcache.tools.calibrating.calibrate import calibrate as plan_costs
            from mmcache.tools.calibrating.calibrated_table import calibrated_table

            first = len(search.prompts) - held_out
            found = plan_costs(
                search.pipe,
                search.prompts[: max(0, first)],
                costs=wanted,
                held_out=search.prompts[max(0, first) :],
                steps=steps,
                batch=batch,
                seed=seed,
                progress=True,
                journal=search.journal,
                **search.call,
            )
            finish(found, out, search, as_json, calibrated_table)
