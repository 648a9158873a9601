"""The options that the programs which train miniatures share, each described once."""

from pathlib import Path
from typing import Annotated

import typer

Work = Annotated[Path, typer.Option(help="Folder for rendered images and checkpoints.")]
Base = Annotated[
    Path | None, typer.Option(help="Text-to-image pipeline to build on; default: the shipped one.")
]
Pictures = Annotated[int, typer.Option(min=64, help="Images to render.")]
Iterations = Annotated[int, typer.Option(min=1, help="Of the model that is exported.")]
Batch = Annotated[int, typer.Option(min=1, help="Images of a step.")]
Processes = Annotated[int, typer.Option(min=1, help="A divisor of 16.")]


def out(what: str) -> typer.models.OptionInfo:
    """The option --out of a program that exports this."""
    return typer.Option(help=f"Folder of the {what}; default: in the work folder.")
