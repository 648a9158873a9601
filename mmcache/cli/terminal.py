"""What reaches the terminal: tables, one line for a bad input, one line for a warning of mmcache."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer

from mmcache.caller import MmcacheWarning
from mmcache.cli.broken_package import broken_package
from mmcache.errors import MissingExtraError, cut_within

MOST = 300  # characters of a message, whatever it repeats
OUT_OF_MEMORY, BAD_INPUT, INTERRUPTED = 1, 2, 130
UNBOUNDED = 100_000  # letters in a line of a pipe or a file, which have no width


def show(what: Any) -> None:
    """Print text as it is, or a table that fits the terminal; in a pipe or a file it is as wide as it is."""
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, emoji=False, width=UNBOUNDED)
    # A terminal breaks long lines of text itself, so that a path can be copied.
    console.print(what, soft_wrap=isinstance(what, str))


def note(text: str) -> None:
    """One line on stderr."""
    typer.echo(typer.style("note: ", fg="yellow") + text, err=True)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Say in one line what was wrong with the input, and exit with 2; Ctrl-C exits with 130.

    What is nobody's input but our mistake keeps its traceback. Warnings of mmcache are notes of one line, and
    those of other libraries do not reach the terminal.
    """
    try:
        with warnings_as_notes():
            yield
    except KeyboardInterrupt:
        fail("interrupted", INTERRUPTED)
    except (ValueError, OSError, MissingExtraError) as error:
        fail(cut_within(" ".join(str(error).split()), MOST), BAD_INPUT)
    except (ImportError, RuntimeError) as error:
        if reason := broken_package(error):
            fail(cut_within(" ".join(reason.split()), MOST), BAD_INPUT)
        if "out of memory" not in str(error):
            raise
        fail("out of memory: take a smaller --height and --width, or --dtype float16", OUT_OF_MEMORY)


def fail(message: str, code: int) -> NoReturn:
    typer.echo(typer.style("error: ", fg="red", bold=True) + message, err=True)
    raise typer.Exit(code) from None


@contextmanager
def warnings_as_notes() -> Iterator[None]:
    """Only what concerns the user reaches the terminal: warnings of mmcache, in one line each."""

    def in_one_line(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        note(str(message))

    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
            warnings.filterwarnings("default", module="mmcache", category=UserWarning)
            warnings.filterwarnings("default", category=MmcacheWarning)
        warnings.showwarning = in_one_line  # type: ignore[assignment]
        yield


def quiet_libraries() -> None:
    """Import diffusers and transformers, whose chatter is no answer. It takes seconds: after the checks."""
    import diffusers
    import transformers
    from huggingface_hub.utils import enable_progress_bars

    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()
    enable_progress_bars()  # of downloads, which transformers has switched off too
