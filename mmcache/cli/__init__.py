"""The command `mmcache`: one file per command.

What a command needs is imported when it runs, so that `--help` is quick.
"""

import shutil
from typing import Annotated

import typer

from mmcache.cli.calibrate import calibrate
from mmcache.cli.catalog import adapters, presets
from mmcache.cli.check import check
from mmcache.cli.compare import compare
from mmcache.cli.demo import demo
from mmcache.cli.env import env
from mmcache.cli.generate import generate
from mmcache.cli.inspect import inspect
from mmcache.cli.paper import paper
from mmcache.cli.sweep import sweep
from mmcache.cli.tune import tune

NARROW = 80  # columns; in fewer, the panels of --help cut options' names, which plain help does not

app = typer.Typer(
    rich_markup_mode=None if shutil.get_terminal_size().columns < NARROW else "rich",
    help="Faster diffusion pipelines without training: deep features are kept between sampling steps.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

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


COMMANDS = (
    *(compare, generate, sweep, tune, calibrate, check, inspect, demo, paper, adapters, presets, env),
)
for command in COMMANDS:
    app.command()(command)
