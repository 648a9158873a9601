"""The command `mmcache`. What a command needs is imported when it runs, so that `--help` is quick."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from mmcache.errors import MissingExtraError

PROMPT = "a person with long red hair, round glasses and a black hoodie, smiling, on a yellow background"
OUT_OF_MEMORY, BAD_INPUT, INTERRUPTED = 1, 2, 130

app = typer.Typer(
    help="Faster diffusion pipelines without training: deep features are kept between sampling steps.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"mmcache {version('mmcache')}")
        raise typer.Exit


@app.callback()
def mmcache(
    _: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=show_version),
    ] = False,
) -> None:
    """Faster diffusion pipelines without training: deep features are kept between sampling steps."""


@app.command()
def compare(
    prompt: Annotated[str | None, typer.Argument(help="What the picture shows.", show_default=PROMPT)] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Pipeline: a folder, or an id on the Hugging Face hub.", show_default="the shipped miniature"
        ),
    ] = None,
    plan: Annotated[
        str | None,
        typer.Option(
            help="How to cache: a preset (see `mmcache presets`) or a plan file.",
            show_default="the architecture's own",
        ),
    ] = None,
    interval: Annotated[
        int | None,
        typer.Option(
            help="A full step every so many steps, in place of the plan's policy.", show_default=False
        ),
    ] = None,
    branch: Annotated[
        int | None,
        typer.Option(
            help="Skip branch of cached steps, in place of the plan's: 0 is the cheapest.", show_default=False
        ),
    ] = None,
    steps: Annotated[int, typer.Option(help="Sampling steps.")] = 50,
    seed: Annotated[int, typer.Option(help="Seed of the noise, the same for both runs.")] = 0,
    guidance_scale: Annotated[
        float | None,
        typer.Option(
            help="Strength of classifier-free guidance.",
            show_default="the pipeline's own, 3 for the shipped miniature",
        ),
    ] = None,
    negative_prompt: Annotated[
        str | None, typer.Option(help="What the picture should not show.", show_default=False)
    ] = None,
    height: Annotated[int | None, typer.Option(help="In pixels.", show_default="the pipeline's own")] = None,
    width: Annotated[int | None, typer.Option(help="In pixels.", show_default="the pipeline's own")] = None,
    device: Annotated[
        str, typer.Option(help="Such as cuda:1; auto takes the first of cuda, mps and cpu.")
    ] = "auto",
    dtype: Annotated[
        str, typer.Option(help="float32, float16 or bfloat16; auto is float32 on a CPU, else float16.")
    ] = "auto",
    repeats: Annotated[
        int, typer.Option(help="Timed runs of each kind; the shortest counts, for busy machines.")
    ] = 1,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, help="CPU threads; 1 is quicker than many on a busy machine.", show_default="torch's own"
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the pictures and the report.")] = Path("mmcache-out"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON, not as a table.")
    ] = False,
) -> None:
    """Run a pipeline in full and cached from the same seed, and show pictures, time and difference.

    Writes side-by-side.png, full.png, cached.png and report.json.

    The times leave out a short warm-up run of each kind.
    """
    with plain_errors(), quiet_libraries():
        import torch

        from mmcache.demos import GUIDANCE_SCALE, miniature
        from mmcache.loading import load_pipeline
        from mmcache.measuring.compare import compare as run_both
        from mmcache.measuring.comparison import FILES
        from mmcache.measuring.comparison_table import comparison_table
        from mmcache.measuring.metrics import require_torchmetrics
        from mmcache.measuring.output_folder import check_output
        from mmcache.measuring.sampling_settings import check_counts, check_prompt, takes_prompt
        from mmcache.plan_file import find_plan

        # Whatever can be wrong without the model is found before it is loaded.
        require_torchmetrics()
        check_output(out, FILES)
        check_prompt(prompt)
        check_counts(steps, seed, repeats)
        if plan is not None:
            find_plan(plan)

        if threads is not None:
            torch.set_num_threads(threads)
        pipe = load_pipeline(model if model is not None else miniature("text-to-image"), device, dtype)
        if takes_prompt(pipe):
            prompt = PROMPT if prompt is None else prompt
            if model is None and guidance_scale is None:
                guidance_scale = GUIDANCE_SCALE
        optional = {"negative_prompt": negative_prompt, "height": height, "width": width}
        result = run_both(
            pipe,
            prompt,
            plan,
            interval=interval,
            branch=branch,
            steps=steps,
            seed=seed,
            guidance_scale=guidance_scale,
            repeats=repeats,
            progress=True,
            **{name: value for name, value in optional.items() if value is not None},
        )
        files = result.save(out)
        if as_json:
            typer.echo(result.as_json())
        else:
            show(comparison_table(result, files))


@app.command()
def adapters() -> None:
    """List the architectures that mmcache knows."""
    with plain_errors(), quiet_libraries():
        from rich.table import Table

        from mmcache.registry import adapters as known

        table = Table("adapter", "model classes", "default plan")
        for adapter in known():
            table.add_row(adapter.name, "\n".join(adapter.denoisers), str(adapter.default_plan))
        show(table)


@app.command()
def presets() -> None:
    """List the plans that ship with mmcache."""
    with plain_errors(), quiet_libraries():
        from rich.table import Table

        from mmcache.plan_file import load_plan
        from mmcache.plan_file import presets as known

        table = Table("preset", "plan", "evidence")
        for name, path in known().items():
            plan = load_plan(path)
            table.add_row(name, str(plan), plan.evidence)
        if known():
            show(table)
        else:
            typer.echo("This version ships no presets; `mmcache adapters` shows the default plans.")


def show(what: Any) -> None:
    from rich.console import Console

    Console(highlight=False).print(what)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Say in one line what was wrong with the input, and exit with 2; Ctrl-C exits with 130.

    What is nobody's input but our mistake keeps its traceback.
    """
    try:
        yield
    except KeyboardInterrupt:
        fail("interrupted", INTERRUPTED)
    except (ValueError, OSError, MissingExtraError) as error:
        fail(" ".join(str(error).split()), BAD_INPUT)
    except RuntimeError as error:
        if "out of memory" not in str(error):
            raise
        fail("out of memory: take a smaller --height and --width, or --dtype float16", OUT_OF_MEMORY)


def fail(message: str, code: int) -> None:
    typer.echo(typer.style("error: ", fg="red", bold=True) + message, err=True)
    raise typer.Exit(code) from None


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Only what concerns the user reaches the terminal: warnings of mmcache, in one line each."""
    import diffusers
    import transformers
    from huggingface_hub.utils import enable_progress_bars

    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    enable_progress_bars()  # of downloads, which transformers has switched off too

    def in_one_line(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        typer.echo(typer.style("note: ", fg="yellow") + str(message), err=True)

    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
            warnings.filterwarnings("default", module="mmcache", category=UserWarning)
        warnings.showwarning = in_one_line  # type: ignore[assignment]
        yield
