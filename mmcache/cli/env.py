"""`mmcache env`: what a bug report needs to say of a machine."""

import typer

from mmcache.cli import options
from mmcache.cli.terminal import plain_errors, show


def env(as_json: options.Json = False) -> None:
    """Show versions, devices and missing extras, for bug reports. It names no path and no user."""
    with plain_errors():
        import json

        from mmcache.tools.machine import machine
        from mmcache.tools.tables import words_table

        found = machine()
        if as_json:
            typer.echo(json.dumps(found, indent=2))
            return
        table = words_table("what", "here")
        for name, value in found.items():
            table.add_row(name, value)
        show(table)
