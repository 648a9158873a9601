"""What reaches the terminal: tables, one line for a bad input, one line for a warning of mmcache."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer

from mmcache.errors import MissingExtraError, shortened

MOST = 1000  # characters of a message, whatever it repeats
OUT_OF_MEMORY, BAD_INPUT, INTERRUPTED = 1, 2, 130


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
        fail(shortened(" ".join(str(error).split()), MOST), BAD_INPUT)
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
