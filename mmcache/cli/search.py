"""What `mmcache tune` and `mmcache calibrate` share: their inputs, their journal, and how they end."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from mmcache.cli import options
from mmcache.cli.request import GenerationRequest
from mmcache.cli.terminal import quiet_libraries, show

if TYPE_CHECKING:
    from mmcache.tools.running.journal import Journal

Batch = Annotated[int, typer.Option(min=1, help="Prompts in one call of the pipeline.")]


def count_option(captions: int) -> Any:
    """The option --count, with the number of the miniature's captions."""
    return typer.Option(
        min=1, help="How many prompts.", show_default=f"all of the file, or {captions} captions"
    )


class Search(NamedTuple):
    """A loaded pipeline with what is searched by.

    Attributes:
        pipe: the pipeline.
        call: arguments of its call besides prompt, seed and steps.
        prompts: at least one.
        journal: of runs that are done.
    """

    pipe: Any
    call: Mapping[str, Any]
    prompts: list[str]
    journal: "Journal"


@contextmanager
def prepared(
    what: str,
    request: GenerationRequest,
    out: Path,
    prompts: options.Prompts,
    count: int | None,
    captions: int,
) -> Iterator[Search]:
    """Check the paths and names, load the pipeline, and keep what its runs find until the block is left.

    Args:
        what: the command.
        request: its pipeline.
        out: the file that it writes.
        prompts, count: of its options.
        captions: of the shipped miniature, where no prompts are given.

    Raises:
        ValueError, OSError, MissingExtraError: something is wrong with the input, or another process is at
            work on the same file.
    """
    from mmcache.cli.parsing import check_prompts_option, find_prompts
    from mmcache.plans.plan_file import check_plan_name
    from mmcache.tools.media.output_folder import check_output

    # Whatever can be wrong without the model is found before torch is imported.
    check_plan_name(out)
    check_output(out.parent, (out.name,))
    inputs = request.read_inputs()
    check_prompts_option(prompts, count, request.miniature)
    if prompts is None and request.miniature is None:
        raise ValueError(f"{request.model}: wants prompts, so give --prompts FILE, one in each line")

    quiet_libraries()
    from mmcache.tools.running.journal import journal_at

    texts, _ = find_prompts(prompts, count, request.selected_task, request.miniature, captions)
    assert texts is not None
    folder = out.with_name(f".{out.name}.runs")
    with journal_at(folder, what) as journal:
        pipe, call = request.load(inputs)
        try:
            yield Search(pipe, call, texts, journal)
        except KeyboardInterrupt:
            typer.echo(f"finished runs are kept in {folder}: the same command goes on from there", err=True)
            raise


def finish(found: Any, out: Path, search: Search, as_json: bool, table: Callable[[Any, Path], Any]) -> None:
    """Write the file, forget the journal, and print the result."""
    found.save(out)
    search.journal.end()
    if as_json:
        typer.echo(found.as_json())
    else:
        show(table(found, out))
