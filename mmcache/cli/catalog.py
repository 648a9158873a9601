"""`mmcache adapters` and `mmcache presets`: what there is to choose from. Neither imports torch."""

from typing import TYPE_CHECKING, Any

import typer

from mmcache.cli import options
from mmcache.cli.terminal import plain_errors, show

if TYPE_CHECKING:
    from mmcache.architectures.catalog import CatalogEntry
    from mmcache.plans.plan import Plan


def adapters(as_json: options.Json = False) -> None:
    """List the architectures that mmcache knows."""
    with plain_errors():
        import json

        from mmcache.architectures.catalog import catalog

        entries = catalog()
        if not as_json:
            return show(adapters_table(entries))
        rows = [
            {"adapter": one.name, "model_classes": one.classes, "default_plan": one.plans} for one in entries
        ]
        typer.echo(json.dumps(rows, indent=2))


def adapters_table(entries: "list[CatalogEntry]") -> Any:
    """A row for each adapter."""
    from mmcache.tools.tables import words_table

    table = words_table("adapter", "model classes", "default plan")
    for one in entries:
        table.add_row(one.name, "\n".join(one.classes), "\n".join(one.plans))
    return table


def presets(as_json: options.Json = False) -> None:
    """List the plans that ship with mmcache, by the family of pipelines that they were measured for."""
    with plain_errors():
        plans = all_presets()
        if not as_json:
            return show(presets_table(plans))
        import json

        from mmcache.plans.plan_file import plan_as_dict

        contents = {
            family: {name: plan_as_dict(plan) for name, plan in own.items()} for family, own in plans.items()
        }
        typer.echo(json.dumps(contents, indent=2))


def all_presets() -> "dict[str, dict[str, Plan]]":
    """By family and name."""
    from mmcache.plans import presets as shipped

    return {
        family: {name: shipped.load_preset(path) for name, path in shipped.presets(family).items()}
        for family in shipped.families()
    }


def presets_table(plans: "dict[str, dict[str, Plan]]") -> Any:
    """A row for each preset, a line between families."""
    from mmcache.tools.tables import words_table

    table = words_table("preset", "for", "plan", "evidence")
    for family, own in plans.items():
        for name, plan in own.items():
            table.add_row(name, family, str(plan), plan.evidence)
        table.add_section()
    return table
