"""`mmcache adapters` and `mmcache presets`: what there is to choose from."""

import typer

from mmcache.cli import options
from mmcache.cli.terminal import plain_errors, quiet_libraries, show


def adapters(as_json: options.Json = False) -> None:
    """List the architectures that mmcache knows."""
    with plain_errors(), quiet_libraries():
        import json

        from rich.table import Table

        from mmcache.architectures.adapter import default_plan
        from mmcache.architectures.registry import adapters as known
        from mmcache.architectures.registry import side_adapters

        rows = [
            (
                adapter.name,
                adapter.denoisers,
                [
                    str(default_plan(adapter, adapter.family)),
                    *(f"with {task}: {default_plan(adapter, own)}" for task, own in adapter.tasks.items()),
                ],
            )
            for adapter in known()
        ]
        rows += [(side.name, side.networks, ["follows its denoiser"]) for side in side_adapters()]
        if as_json:
            names = ("adapter", "model_classes", "default_plan")
            typer.echo(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2))
            return
        table = Table("adapter", "model classes", "default plan")
        for name, classes, plans in rows:
            table.add_row(name, "\n".join(classes), "\n".join(plans))
        show(table)


def presets(as_json: options.Json = False) -> None:
    """List the plans that ship with mmcache, by the family of pipelines that they were measured for."""
    with plain_errors(), quiet_libraries():
        import json

        from rich.table import Table

        from mmcache.plans.plan_file import load_plan, plan_as_dict
        from mmcache.plans.presets import families
        from mmcache.plans.presets import presets as known

        plans = {
            family: {name: load_plan(path) for name, path in known(family).items()} for family in families()
        }
        if as_json:
            contents = {
                family: {name: plan_as_dict(plan) for name, plan in own.items()}
                for family, own in plans.items()
            }
            typer.echo(json.dumps(contents, indent=2))
            return
        table = Table("for", "preset", "plan", "evidence")
        for family, own in plans.items():
            for name, plan in own.items():
                table.add_row(family, name, str(plan), plan.evidence)
            table.add_section()
        show(table)
