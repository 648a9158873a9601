"""`mmcache calibrate`: plans of several costs from one recording."""

from pathlib import Path
from typing import Annotated

import typer

from mmcache.cli import options
from mmcache.cli.request import GenerationRequest
from mmcache.cli.shared_options import with_options_of
from mmcache.cli.terminal import plain_errors, quiet_libraries, show

CAPTIONS = 8  # of the shipped miniature, where no prompts are given


@with_options_of(GenerationRequest, "request")
def calibrate(
    request: GenerationRequest,
    costs: Annotated[
        str, typer.Option(help="How many times fewer multiply-adds the denoiser is to take.")
    ] = "2,2.5,3.5,5,7,8",
    prompts: options.Prompts = None,
    count: Annotated[
        int | None,
        typer.Option(min=1, help="How many prompts.", show_default="all of the file, or 8 captions"),
    ] = None,
    held_out: Annotated[
        int, typer.Option(min=0, help="So many of the prompts, the last ones, only measure the plans.")
    ] = 0,
    steps: Annotated[int, typer.Option(help="Sampling steps that the plans are for.")] = 50,
    batch: Annotated[int, typer.Option(min=1, help="Prompts in one call of the pipeline.")] = 4,
    seed: options.FirstSeed = 0,
    out: Annotated[Path, typer.Option(help="The file with the plans.")] = Path("mmcache-plans.yaml"),
    as_json: options.Json = False,
) -> None:
    """Plan several costs from one full run of a few prompts, and write the plans to a file.

    Use one of them with `mmcache compare --plan FILE#3.5x` or `mmcache.accelerate(pipe, "FILE#3.5x")`.
    """
    with plain_errors(), quiet_libraries():
        from mmcache.cli.parsing import find_prompts, parse_number, split_commas
        from mmcache.tools.calibrating.calibrate import calibrate as plan_costs
        from mmcache.tools.calibrating.calibrated_table import calibrated_table
        from mmcache.tools.media.output_folder import check_output

        # Whatever can be wrong without the model is found before it is loaded.
        wanted = [parse_number("--costs", word) for word in split_commas(costs)]
        check_output(out.parent, (out.name,))
        inputs = request.read_inputs()
        texts, _ = find_prompts(prompts, count, request.selected_task, request.miniature, CAPTIONS + held_out)
        if texts is None:
            raise ValueError(f"{request.model}: wants prompts, so give --prompts FILE, one in each line")

        pipe, call = request.load(inputs)
        found = plan_costs(
            pipe,
            texts[: len(texts) - held_out],
            costs=wanted,
            held_out=texts[len(texts) - held_out :],
            steps=steps,
            batch=batch,
            seed=seed,
            **call,
        )
        found.save(out)
        if as_json:
            typer.echo(found.as_json())
        else:
            show(calibrated_table(found, out))
