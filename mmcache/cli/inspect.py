"""`mmcache inspect`: the U of a model, and what is left of it on a cached step."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mmcache.cli.terminal import plain_errors, quiet_libraries, show


def inspect(
    model: Annotated[
        str | None,
        typer.Argument(
            help="A pipeline or denoiser: a folder, an id on the Hugging Face hub, or a shipped miniature's "
            "name. Of a folder or id only the config files are read, so weights need not be there.",
            show_default="the text-to-image miniature",
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the U into this PNG file.", show_default=False)
    ] = None,
    branch: Annotated[int, typer.Option(min=0, help="The skip branch that the drawing shows.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Latents in one call.")] = 1,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Frames of a clip.", show_default="the model's own")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, not a table.")] = False,
) -> None:
    """Show which layers stay on a cached step at each branch, what they take and what is kept."""
    with plain_errors(), quiet_libraries():
        import json

        from mmcache.inspecting.example_call import Size
        from mmcache.inspecting.inspection import inspect as inspect_all
        from mmcache.inspecting.inspection_table import inspection_table
        from mmcache.inspecting.u_picture import check_picture, save_picture

        if plot is not None:
            check_picture(plot)
        size = Size(batch, frames)
        models = find_models(model)
        found = [one for name, denoiser in models.items() for one in inspect_all(denoiser, size, name)]
        if as_json:
            typer.echo(json.dumps([one.as_dict() for one in found], indent=2))
        else:
            for one in found:
                show(inspection_table(one))
        if plot is not None:
            files = save_picture(plot, list(zip(models.values(), found, strict=True)), branch)
            if not as_json:
                show("\n".join(map(str, files)))


def find_models(model: str | None) -> dict[str, Any]:
    """The denoisers of a model by name, those of a shipped miniature too."""
    from mmcache.demos import SHIPPED, WHOLE, load_miniature
    from mmcache.engine.shadow import own_model
    from mmcache.inspecting.from_config import denoisers_from_config
    from mmcache.parts import find_denoisers

    if model is None or (model in SHIPPED and not Path(model).exists()):
        pipe = load_miniature(model or WHOLE)
        return {name: own_model(part.model) for name, part in find_denoisers(pipe).items()}
    return dict(denoisers_from_config(model))
