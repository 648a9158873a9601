"""`mmcache adapters` and `mmcache presets`: what there is to choose from."""

import typer

from mmcache.cli import options
from mmcache.cli.terminal import plain_errors, quiet_libraries, show


def adapters(as_json: options.Json = False) -> None:
    """List the architectures that mmcache knows."""
    with plain_errors(), quiet_libraries():
        import json

        from rich.table import Table

        from mmcache.registry import adapters as known
        from mmcache.registry import side_adapters

        rows = [
            (
                adapter.name,
                adapter.denoisers,
                [
                    str(adapter.default_plan),
                    *(f"with {task}: {plan}" for task, plan in adapter.plans.items()),
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
    """List the plans that ship with mmcache."""
    with plain_errors(), quiet_libraries():
        import json

        from rich.table import Table

        from mmcache.plans.plan_file import load_plan, plan_as_dict
        from mmcache.plans.plan_file import presets as known

        plans = {name: load_plan(path) for name, path in known().items()}
        if as_json:
            typer.echo(json.dumps({name: plan_as_dict(plan) for name, plan in plans.items()}, indent=2))
            return
        table = Table("preset", "plan", "evidence")
        for name, plan in plans.items():
            table.add_row(name, str(plan), plan.evidence)
        show(table)
