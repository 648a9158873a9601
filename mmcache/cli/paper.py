"""`mmcache paper`: the multiply-adds that DeepCache's paper prints, beside ours."""

from typing import Annotated

import typer

from mmcache.cli.demos_package import require_demos
from mmcache.cli.terminal import plain_errors, quiet_libraries, show


def paper(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not tables.")] = False,
) -> None:
    """Count the MACs of DeepCache's tables anew, in its convention and with everything counted.

    Models are built from their configs without weights: nothing is downloaded, and it takes some seconds.
    """
    with plain_errors():
        import json

        require_demos("the paper's tables come")
        quiet_libraries()
        from mmcache_demos.paper.reproduction import count_paper
        from mmcache_demos.paper.tables import paper_tables

        found = count_paper()
        if as_json:
            typer.echo(json.dumps(found.as_dict(), indent=2))
        else:
            show(paper_tables(found))
