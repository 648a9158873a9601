"""The tasks of `--task`: each with its pipelines and inputs, as data."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mmcache.errors import UnsupportedPipelineError, unknown_name
from mmcache.tools.model_source import beginning


@dataclass(frozen=True)
class Task:
    """One task of pipelines, such as inpainting.

    Attributes:
        name: of `--task`.
        miniature: the shipped pipeline that does it.
        others: further ones that do.
        prompt: the default one.
        generates_video: whether it gives videos rather than images.
        argument: the argument of the call that only its pipelines have; "" if every pipeline fits.
        options: the options of the command that belong to it, beside those of every task.
        needed: those of them that are required.
        inputs: the miniature's own input files, by option, in the folder demos/inputs.
        settings: the miniature's own settings, by option.
        part: the option that names a further model.
        convert: makes a pipeline for this task of another one, with that model.
    """

    name: str
    miniature: str
    prompt: str
    others: tuple[str, ...] = ()
    generates_video: bool = False
    argument: str = ""
    options: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    part: str = ""
    convert: Callable[[Any, Any], Any] | None = None

    @property
    def sized_like_image(self) -> bool:
        """Whether outputs have the proportions of the input image."""
        return "image" in self.needed

    def fits(self, pipe: Any) -> bool:
        """Whether this pipeline does the task as it is."""
        return not self.argument or self.argument in inspect.signature(type(pipe).__call__).parameters


def with_mask(pipe: Any, _: None) -> Any:
    """The inpainting pipeline made of the parts of another one."""
    from diffusers import AutoPipelineForInpainting

    return AutoPipelineForInpainting.from_pipe(pipe)


def with_controlnet(pipe: Any, model: str) -> Any:
    """The pipeline made of the parts of another one and a ControlNet."""
    from diffusers import AutoPipelineForText2Image, ControlNetModel

    from mmcache.tools.loading import load_part

    part = load_part(ControlNetModel, model, pipe.dtype).to(pipe.device)
    return AutoPipelineForText2Image.from_pipe(pipe, controlnet=part)


def with_motion(pipe: Any, model: str) -> Any:
    """AnimateDiff made of the parts of an image pipeline and a motion adapter."""
    import diffusers

    from mmcache.tools.loading import load_part

    kind = "AnimateDiffSDXLPipeline" if "XL" in type(pipe).__name__ else "AnimateDiffPipeline"
    part = load_part(diffusers.MotionAdapter, model, pipe.dtype)
    made = getattr(diffusers, kind).from_pipe(pipe, motion_adapter=part, torch_dtype=pipe.dtype)
    return made.to(pipe.device)


TASKS = (
    Task(
        name="text-to-image",
        miniature="text-to-image",
        prompt="a person with long red hair, round glasses and a black hoodie, smiling, "
        "on a yellow background",
        others=("transformer",),
    ),
    Task(
        name="inpaint",
        miniature="inpainting",
        prompt="a person with a red beanie, a blue hoodie and no glasses, smiling, on a yellow background",
        argument="mask_image",
        options=("image", "mask"),
        needed=("image", "mask"),
        inputs={"image": "portrait.png", "mask": "hat-mask.png"},
        convert=with_mask,
    ),
    Task(
        name="controlnet",
        miniature="controlnet",
        prompt="a person with curly pink hair, round glasses, a blazer and a yellow shirt, smiling, "
        "on a green background",
        argument="controlnet_conditioning_scale",
        options=("image", "controlnet"),
        needed=("image",),
        inputs={"image": "edges.png"},
        part="controlnet",
        convert=with_controlnet,
    ),
    Task(
        name="text-to-video",
        miniature="text-to-video",
        prompt="a person with long red hair and round glasses, on a yellow background, moving left",
        generates_video=True,
        argument="num_frames",
        options=("image", "frames", "motion_adapter"),
        settings={"frames": 8},
        part="motion_adapter",
        convert=with_motion,
    ),
)


def find_task(name: str) -> Task:
    """The task of this name.

    Raises:
        ValueError: there is none.
    """
    found = next((task for task in TASKS if task.name == name), None)
    if found is None:
        raise ValueError(unknown_name("task", name, [task.name for task in TASKS]))
    return found


def option(name: str) -> str:
    """The option on the command line: motion_adapter is --motion-adapter."""
    return "--" + name.replace("_", "-")


def check_options(task: Task, model: str | None, values: Mapping[str, Any]) -> None:
    """Refuse options that do not go together, before anything is read or loaded.

    Args:
        task: of `--task`.
        model: None for the shipped miniature.
        values: the options that only some tasks have; None where one was left out.

    Raises:
        ValueError: one belongs to another task, or one is missing.
    """
    chosen = [name for name, value in values.items() if value is not None]
    for name in chosen:
        if name not in task.options:
            homes = " or ".join(f"--task {other.name}" for other in TASKS if name in other.options)
            raise ValueError(f"{option(name)} does not go with --task {task.name}; it goes with {homes}")
    if task.part in chosen and model is None:
        raise ValueError(
            f"{option(task.part)} needs --model, the pipeline that it is added to: the shipped miniature "
            f"fits no other model"
        )
    missing = [option(name) + " FILE" for name in task.needed if name not in chosen]
    if missing and model is not None:
        raise ValueError(f"--task {task.name} with --model needs {' and '.join(missing)}")
    if "mask" in task.needed and "image" in chosen and "mask" not in chosen:
        raise ValueError(
            "--image needs --mask FILE: black and white, at the size of the image, white is generated anew"
        )
    if values.get("image") is not None and not task.inputs and model is None:
        raise ValueError(f"the shipped {task.miniature} miniature takes no --image")


def load_for(
    task: Task,
    model: str,
    part: str | None,
    device: str,
    dtype: str,
    *,
    spare: bool = False,
    revision: str | None = None,
    variant: str | None = None,
) -> Any:
    """Load a pipeline for a task.

    Args:
        task: of the pipeline.
        model: a folder or an id on the Hugging Face hub.
        part: a ControlNet or motion adapter to add to it, likewise.
        device, dtype, variant: as `load_pipeline` takes them.
        spare: the part is only for a pipeline that has none of its own.
        revision: of the model on the hub.

    Raises:
        ModelNotFoundError: the model or the part is not there.
        UnsupportedPipelineError: the pipeline does something else.
        ValueError: a device that is not there, an unknown dtype.
    """
    from mmcache.tools.loading import load_pipeline

    pipe = load_pipeline(model, device, dtype, revision, variant)
    return fit_to_task(task, pipe, model, part, spare=spare)


def fit_to_task(task: Task, pipe: Any, model: str, part: str | None, *, spare: bool = False) -> Any:
    """The same for a pipeline that is already loaded."""
    kind = type(pipe).__name__
    if task.fits(pipe):
        if part is not None and not spare:
            raise ValueError(
                f"{model}: is a {kind}, which has its own already: leave {option(task.part)} out"
            )
        check_default_task(task, pipe, model)
        return pipe
    if task.convert is None or (task.part and part is None):
        add = f"add {option(task.part)} MODEL to make it one" if task.part else "choose another model"
        raise UnsupportedPipelineError(f"{model}: is a {kind}, which is not for --task {task.name}: {add}")
    try:
        return task.convert(pipe, part)
    except (ValueError, TypeError, AttributeError) as error:
        raise UnsupportedPipelineError(
            f"{model}: is a {kind}, and diffusers makes none of it for --task {task.name}: {beginning(error)}"
        ) from error


def check_default_task(task: Task, pipe: Any, model: str) -> None:
    """Refuse a pipeline that is known to be for another task, where any would seem to fit.

    Raises:
        UnsupportedPipelineError: it is.
    """
    others = [other.name for other in TASKS if other.argument and other.fits(pipe)]
    if not task.argument and others:
        raise UnsupportedPipelineError(
            f"{model}: is a {type(pipe).__name__}, which is for {' or '.join(others)}: add --task {others[0]}"
        )
