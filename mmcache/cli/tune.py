"""`mmcache tune`: the plan that suits a model, found by measuring it."""

from pathlib import Path
from typing import Annotated

import typer

from mmcache.cli import options
from mmcache.cli.request import Asked
from mmcache.cli.shared_options import takes
from mmcache.cli.terminal import plain_errors, quiet_libraries, show

CAPTIONS = 12  # of the shipped miniature, where no prompts are given


@takes(Asked, "asked")
def tune(
    asked: Asked,
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
    """Find the plan that is closest to the full run at a price, and write it to a file.

    A third of the prompts is held out, for the figures that the file names.

    Use the file with `mmcache compare --plan FILE` or `mmcache.accelerate(pipe, FILE)`.
    """
    with plain_errors(), quiet_libraries():
        from mmcache.cli.parsing import find_prompts, whole, words_of
        from mmcache.tools.media.output_folder import check_output
        from mmcache.tools.tuning.tune import check_target
        from mmcache.tools.tuning.tune import tune as find_plan
        from mmcache.tools.tuning.tuned_table import tuned_table

        # Whatever can be wrong without the model is found before it is loaded.
        check_target(speedup, psnr)
        tried = [whole("--branches", word) for word in words_of(branches)]
        check_output(out.parent, (out.name,))
        inputs = asked.read_inputs()
        texts, _ = find_prompts(prompts, count, asked.chosen, asked.miniature, CAPTIONS)
        if texts is None:
            raise ValueError(f"{asked.model}: wants prompts, so give --prompts FILE, one in each line")

        pipe, call = asked.load(inputs)
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
