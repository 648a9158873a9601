"""`mmcache inspect`: a model's layers, what a cached step leaves of them, how similar its features are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from mmcache.cli import options
from mmcache.cli.completion import complete_model, starting, task_names
from mmcache.cli.demos_package import MINIATURES, require_demos
from mmcache.cli.request import GenerationRequest
from mmcache.cli.terminal import note, plain_errors, quiet_libraries, show

USUAL = "usual for the model"
USUAL_VALUES = {"branch": 0, "batch": 1, "steps": 50, "seed": 0}  # what options have that are left out
# What multiply-adds are counted at.
CountedSide = Annotated[int | None, typer.Option(min=1, help="Pixels, of transformers.", show_default=USUAL)]
CountedFrames = Annotated[int | None, typer.Option(min=1, help="Frames of a video.", show_default=USUAL)]
SAMPLING = "With --similarity, which samples once"  # the heading of these options in the help


def inspect(
    model: Annotated[
        str | None,
        typer.Argument(
            help="A pipeline or denoiser: a folder, an id on the Hugging Face hub, or a shipped miniature's "
            "name. Of a folder or id only the config files are read, so weights need not be there.",
            show_default="the text-to-image miniature",
            autocompletion=complete_model,
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Plot the U or the stack into this PNG file.", show_default=False)
    ] = None,
    branch: Annotated[int, typer.Option(min=0, help="The branch in the plot.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Latents in one call.")] = 1,
    frames: CountedFrames = None,
    height: CountedSide = None,
    width: CountedSide = None,
    tokens: Annotated[int | None, typer.Option(min=1, help="Of the text.", show_default=USUAL)] = None,
    similarity: Annotated[
        Path | None,
        typer.Option(
            help="Instead: sample once, and plot the similarity of all steps' deep features as a PNG.",
            show_default=False,
        ),
    ] = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="What the pipeline does.",
            show_default="that of the miniature",
            rich_help_panel=SAMPLING,
            autocompletion=starting(task_names),
        ),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(help="Prompt.", show_default="that of the task", rich_help_panel=SAMPLING),
    ] = None,
    steps: Annotated[int, typer.Option(help="Sampling steps.", rich_help_panel=SAMPLING)] = 50,
    seed: Annotated[int, typer.Option(help="Seed of the noise.", rich_help_panel=SAMPLING)] = 0,
    as_json: options.Json = False,
) -> None:
    """Show which layers stay on a cached step at each branch, what they take and what is kept."""
    with plain_errors():
        sampling = {"task": task, "prompt": prompt, "steps": steps, "seed": seed}
        shapes = {"batch": batch, "frames": frames, "height": height, "width": width, "tokens": tokens}
        if similarity is not None:
            refuse_given("has no effect with --similarity", {"plot": plot, "branch": branch} | shapes)
            show_similarity(similarity, request_for(model, task), prompt, steps, seed, as_json)
            return
        refuse_given("goes with --similarity FILE", sampling)
        if plot is None:
            refuse_given("chooses what --plot FILE shows: give that too", {"branch": branch})
        show_branches(model, plot, branch, shapes, as_json)


def refuse_given(why: str, values: Mapping[str, Any]) -> None:
    """Refuse options that have no effect.

    Raises:
        ValueError: one was given.
    """
    for name, value in values.items():
        if value != USUAL_VALUES.get(name):
            raise ValueError(f"--{name} {why}")


def show_branches(
    model: str | None, plot: Path | None, branch: int, shapes: Mapping[str, Any], as_json: bool
) -> None:
    """The table of branches, and the plot of one."""
    import json

    check_source(model)
    quiet_libraries()
    from mmcache.architectures.example_call import Size
    from mmcache.tools.inspecting.inspection import inspect as inspect_all
    from mmcache.tools.inspecting.inspection_table import inspection_table
    from mmcache.tools.inspecting.pictures import check_picture, save_picture
    from mmcache.tools.inspecting.sizes import sizes_without_effect

    if plot is not None:
        check_picture(plot)
    models, size = find_models(model), Size(**shapes)
    if unused := sizes_without_effect(models.values(), size):
        raise ValueError(f"--{unused[0]}: makes no difference to this model: leave it out")
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


def check_source(model: str | None) -> None:
    """Find out whether a model is there, before torch is imported.

    Raises:
        ModelNotFoundError: it is neither a miniature, nor a path, nor on the hub.
        MissingExtraError: it is a miniature, and they are not installed.
    """
    from mmcache.tools.hub import index_of, reachable
    from mmcache.tools.model_source import ModelNotFoundError, check_model_name, is_hub_id
    from mmcache.tools.tasks.miniatures import is_miniature, twofold_name

    if model is not None:
        check_model_name(model)
    if said := twofold_name(model or ""):
        note(said)
    if model is None or is_miniature(model):
        require_demos(MINIATURES)
    elif not (folder := Path(model).expanduser()).exists():
        if not is_hub_id(model):
            raise ModelNotFoundError(f"{model}: there is no such folder ({folder.absolute()})")
        index_of(model, online=reachable())


def find_models(model: str | None) -> dict[str, Any]:
    """The denoisers of a model by name, those of a shipped miniature too."""
    from mmcache.api.resolved_pipeline import find_denoisers
    from mmcache.tools.inspecting.from_config import denoisers_from_config
    from mmcache.tools.tasks.miniatures import is_miniature

    if model is None or is_miniature(model):
        demos = require_demos(MINIATURES)
        pipe = demos.load_miniature(model or demos.WHOLE)
        return {name: part.model for name, part in find_denoisers(pipe).items()}
    return dict(denoisers_from_config(model))


def show_similarity(
    file: Path, request: GenerationRequest, prompt: str | None, steps: int, seed: int, as_json: bool
) -> None:
    """The squares of steps by steps, and their figures."""
    import json

    inputs = request.read_inputs()
    quiet_libraries()
    from mmcache.tools.inspecting.inspection_table import similarity_table
    from mmcache.tools.inspecting.pictures import check_picture, save_similarity
    from mmcache.tools.inspecting.similarity import feature_similarity

    check_picture(file)
    pipe, call = request.load(inputs)
    found = feature_similarity(
        pipe, request.prompt_or_default(prompt, pipe), steps=steps, seed=seed, progress=True, **call
    )
    files = save_similarity(file, found)
    if as_json:
        typer.echo(json.dumps([one.as_dict() for one in found], indent=2))
        return
    for one in found:
        show(similarity_table(one))
    show("\n".join(map(str, files)))


def request_for(model: str | None, task: str | None) -> GenerationRequest:
    """A request for a miniature's own task, or for the named task of another pipeline."""
    from mmcache.tools.tasks.miniatures import is_miniature, task_of

    if model is None or not is_miniature(model):
        request = GenerationRequest(task=task or "text-to-image", model=model)
        if model is not None and request.selected_task.needed:
            raise ValueError(
                f"--task {task} needs an image, and this command has no option for one: use "
                f"mmcache.tools.inspecting.similarity.feature_similarity(pipe, prompt, image=..., ...)"
            )
        return request
    own = task_of(model).name
    if task not in (None, own):
        raise ValueError(f"--task {task}: the miniature {model} is for {own}")
    return GenerationRequest(task=own, model=model)
