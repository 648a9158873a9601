"""`mmcache generate --prompts FILE`: many prompts, over processes, launchers or a Ray cluster."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmcache.cli.demos_package import MINIATURES, require_demos
from mmcache.cli.request import GenerationRequest
from mmcache.cli.terminal import fail, quiet_libraries, show

if TYPE_CHECKING:
    from mmcache.tools.generating.model import Model

PANEL = "Many prompts"
FILES = ("image", "mask")  # options whose files' contents matter, not their paths
BROKEN = 1  # exit code where the input is not to blame: the device, or Ray
NOT_OF_IMAGES = ("device", "threads")  # options that leave images what they are, or are told elsewhere


def of_many(*names: str, **settings: Any) -> Any:
    """An option of many prompts."""
    return typer.Option(*names, rich_help_panel=PANEL, **settings)


@dataclass(frozen=True)
class ManyOptions:
    """The options that go with --prompts, each a field."""

    prompts: Annotated[
        Path | None,
        of_many(
            help="JSON lines (prompt, id, seed, plan, any argument of the pipeline), or a text file with a "
            "prompt in each line. What is in the folder is not made again.",
            show_default=False,
        ),
    ] = None
    workers: Annotated[
        int | None,
        of_many(min=1, help="Processes, each with a GPU of its own.", show_default="this process alone"),
    ] = None
    shard: Annotated[
        str | None,
        of_many(metavar="I/N", help="Do one of N parts, I from 0 to N-1, for launchers.", show_default=False),
    ] = None
    ray: Annotated[
        str | None,
        of_many(
            metavar="ADDRESS",
            help="Use a Ray cluster; auto finds one or starts one here. Needs mmcache[ray].",
            show_default=False,
        ),
    ] = None
    ray_resource: Annotated[
        str | None,
        of_many(help="Resource of the cluster that each worker takes one of.", show_default="GPU, or CPU"),
    ] = None
    batch: Annotated[
        int, of_many(min=1, help="Lines of equal shape in one call; 1 gives the same bytes everywhere.")
    ] = 1
    overwrite: Annotated[bool, of_many("--overwrite", help="Replace images of other settings.")] = False

    def check_without_prompts(self) -> None:
        """Refuse options that mean nothing for a single prompt.

        Raises:
            ValueError: one was given.
        """
        for field in fields(self):
            if getattr(self, field.name) != field.default:
                raise ValueError(f"--{field.name.replace('_', '-')} goes with --prompts FILE")


@dataclass(frozen=True)
class LoadRequest:
    """Loads the pipeline that the options name, in a worker."""

    request: GenerationRequest

    def __call__(self) -> Any:
        return self.request.load(self.request.read_inputs())


def generate_prompts(
    request: GenerationRequest,
    many: ManyOptions,
    *,
    plan: str | None,
    interval: int | None,
    branch: int | None,
    steps: int,
    seed: int,
    out: Path,
    as_json: bool,
) -> None:
    """Generate all prompts of a file, and exit with 1 if any failed.

    Raises:
        ValueError, OSError, MissingExtraError: something is wrong with the input.
    """
    # Whatever can be wrong without the model is found before torch is imported.
    from mmcache.tools.generating.prompts_file import check_exists
    from mmcache.tools.media.ffmpeg import require_ffmpeg

    if request.selected_task.generates_video:
        require_ffmpeg()
    inputs = request.read_inputs()
    if many.prompts is not None:
        check_exists(many.prompts)

    quiet_libraries()
    from mmcache.tools.generating.engine import Engine
    from mmcache.tools.generating.generate import generate_many
    from mmcache.tools.generating.outcomes import WorkerBroken
    from mmcache.tools.generating.progress import ProgressLine, events_as_json
    from mmcache.tools.generating.ray_pool import RayStartError
    from mmcache.tools.generating.survey import ALL, Shard

    named = ("guidance_scale", "negative_prompt", "height", "width")
    call = {name: value for name in named if (value := getattr(request, name)) is not None}
    try:
        result = generate_many(
            many.prompts,
            out,
            model_of(request, inputs),
            plan=plan,
            interval=interval,
            branch=branch,
            steps=steps,
            seed=seed,
            engine=Engine(many.workers, many.ray, many.ray_resource, request.threads or 1),
            shard=ALL if many.shard is None else Shard.parse(many.shard),
            batch=many.batch,
            overwrite=many.overwrite,
            listener=events_as_json if as_json else ProgressLine(),
            call=call,
        )
    except (WorkerBroken, RayStartError) as error:
        fail(str(error), BROKEN)
    if not as_json:
        show(str(result))
    if result.exit_code:
        raise typer.Exit(result.exit_code)


def model_of(request: GenerationRequest, inputs: Mapping[str, Any]) -> "Model":
    """What workers load, and what is known of it beforehand."""
    from mmcache.tools.generating.items import file_hash
    from mmcache.tools.generating.model import Model
    from mmcache.tools.generating.model_check import pipeline_class

    task = request.selected_task
    config, pipeline = (
        miniature_config(request.miniature)
        if request.miniature
        else (str(request.model), pipeline_class(str(request.model), request.revision))
    )
    if pipeline is not None and task.argument and not has_argument(pipeline, task.argument):
        pipeline = None  # it is converted, and the conversion chooses the class
    options = {
        field.name: getattr(request, field.name)
        for field in fields(request)
        if field.name not in NOT_OF_IMAGES
    }
    for name in FILES:
        if options[name] is not None:
            options[name] = file_hash(options[name])
    options["model"] = request.miniature or request.model
    return Model(
        LoadRequest(replace(request)),
        config,
        pipeline,
        options,
        task.sized_like_image,
        request.device,
        request.revision,
    )


def has_argument(pipeline: Any, name: str) -> bool:
    from mmcache.tools.generating.lines import arguments_of

    return name in arguments_of(pipeline)


def miniature_config(name: str) -> tuple[Path, Any]:
    """The folder with the config of a shipped miniature's denoiser, and its pipeline's class."""
    import diffusers

    demos = require_demos(MINIATURES)
    shipped = demos.SHIPPED[name]
    own = {"unet", "transformer"} & set(shipped.parts)
    return demos.miniature(name if own else demos.WHOLE), getattr(diffusers, shipped.pipeline)
