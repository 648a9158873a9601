"""`mmcache adapters` and `mmcache presets`: what there is to choose from."""

import typer

from mmcache.cli.terminal import plain_errors, quiet_libraries, show


def adapters() -> None:
    """List the architectures that mmcache knows."""
    with plain_errors(), quiet_libraries():
        from rich.table import Table

        from mmcache.registry import adapters as known
        from mmcache.registry import side_adapters

        table = Table("adapter", "model classes", "default plan")
        for adapter in known():
            plans = [str(adapter.default_plan)]
            plans += [f"with {task}: {plan}" for task, plan in adapter.plans.items()]
            table.add_row(adapter.name, "\n".join(adapter.denoisers), "\n".join(plans))
        for side in side_adapters():
            table.add_row(side.name, "\n".join(side.networks), "follows its denoiser")
        show(table)


def presets() -> None:
    """List the plans that ship with mmcache."""
    with plain_errors(), quiet_libraries():
        from rich.table import Table

        from mmcache.plans.plan_file import load_plan
        from mmcache.plans.plan_file import presets as known

        table = Table("preset", "plan", "evidence")
        for name, path in known().items():
            plan = load_plan(path)
            table.add_row(name, str(plan), plan.evidence)
        if known():
            show(table)
        else:
            typer.echo("This version ships no presets; `mmcache adapters` shows the default plans.")
