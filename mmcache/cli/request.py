"""The options that compare, generate, sweep and tune share: the task, the pipeline and its inputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mmcache.cli import options
from mmcache.cli.demos_package import MINIATURES, require_demos
from mmcache.cli.terminal import note, quiet_libraries

if TYPE_CHECKING:
    from mmcache.tools.tasks.tasks import Task


OF_A_MODEL = ("revision", "variant")  # options that a shipped miniature has no use for
SIDES, MOST_SIDE = ("height", "width"), 2**15


class LoadedPipeline(NamedTuple):
    """A loaded pipeline, and the arguments of its call besides prompt, seed and steps."""

    pipe: Any
    call: dict[str, Any]


@dataclass(frozen=True)
class GenerationRequest:
    """The options, each a field; None where one was left out."""

    task: options.Task = "text-to-image"
    model: options.Model = None
    revision: options.Revision = None
    image: options.Image = None
    mask: options.Mask = None
    frames: options.Frames = None
    controlnet: options.ControlNet = None
    motion_adapter: options.MotionAdapter = None
    guidance_scale: options.GuidanceScale = None
    negative_prompt: options.NegativePrompt = None
    height: options.Height = None
    width: options.Width = None
    device: options.Device = "auto"
    dtype: options.Dtype = "auto"
    variant: options.Variant = None
    threads: options.Threads = None

    @cached_property
    def selected_task(self) -> "Task":
        """The task.

        Raises:
            ValueError: there is none of this name.
        """
        from mmcache.tools.tasks.tasks import find_task

        return find_task(self.task)

    @cached_property
    def miniature(self) -> str | None:
        """The name of the shipped miniature to use; None where --model names another pipeline."""
        from mmcache.tools.tasks.miniatures import is_miniature

        if self.model is None:
            return self.selected_task.miniature
        return self.model if is_miniature(self.model) else None

    def read_inputs(self) -> dict[str, Any]:
        """Check the options and read the input images, before the model is loaded.

        Raises:
            MissingExtraError: the miniature's distribution is not installed.
            ModelNotFoundError: a model is neither a folder nor an id of the hub.
            ValueError: options that do not go together, or have no effect.
            ImageFileError: a file is missing or no image, or image and mask do not match.
        """
        from mmcache.tools.model_source import check_dtype
        from mmcache.tools.tasks.miniatures import twofold_name
        from mmcache.tools.tasks.task_inputs import task_arguments
        from mmcache.tools.tasks.tasks import check_options

        check_dtype(self.dtype)
        for name in OF_A_MODEL:
            if self.miniature and getattr(self, name) is not None:
                raise ValueError(f"--{name}: is for a model of your own, and this is a miniature")
        for name in SIDES:
            if (side := getattr(self, name)) is not None and not 1 <= side <= MOST_SIDE:
                raise ValueError(f"--{name} {side}: wanted 1 to {MOST_SIDE} pixels")
        if said := twofold_name(self.model or ""):
            note(said)
        names = ("image", "mask", "frames", "controlnet", "motion_adapter")
        values = {name: getattr(self, name) for name in names}
        check_options(self.selected_task, None if self.miniature else self.model, values)
        self._check_sources()
        return task_arguments(with_defaults(self.selected_task, values) if self.miniature else values)

    def _check_sources(self) -> None:
        """Find out whether the model is there, also on the hub, and what its further part can be."""
        from mmcache.tools.hub import check_pipeline
        from mmcache.tools.model_source import MODEL, find_source

        if not self.miniature:
            source = find_source(str(self.model), revision=self.revision)
            if isinstance(source, str):
                check_pipeline(source, self.revision)
        for part in (self.controlnet, self.motion_adapter):
            if part is not None:
                find_source(part, MODEL, "a ControlNet or motion adapter")

    def load(self, inputs: Mapping[str, Any]) -> LoadedPipeline:
        """Load the pipeline.

        Args:
            inputs: from `read_inputs`.

        Raises:
            ModelNotFoundError: there is none.
            UnsupportedPipelineError: it is for another task.
            ValueError: a device that is not there, an unknown dtype.
        """
        quiet_libraries()
        import torch

        from mmcache.tools.running.call_settings import takes_prompt
        from mmcache.tools.tasks.task_inputs import size_like

        if self.threads is not None:
            torch.set_num_threads(self.threads)
        pipe = self._load_pipeline()
        call = dict(inputs)
        if self.selected_task.sized_like_image:
            call = size_like(pipe, call["image"]) | call
        named = ("guidance_scale", "negative_prompt", "height", "width")
        call |= {name: value for name in named if (value := getattr(self, name)) is not None}
        if self.miniature and takes_prompt(pipe):
            demos = require_demos(MINIATURES)
            own = demos.SHIPPED[self.miniature].call
            call = {"guidance_scale": demos.GUIDANCE_SCALE, **own, **call}
        return LoadedPipeline(pipe, call)

    def prompt_or_default(self, prompt: str | None, pipe: Any) -> str | None:
        """The prompt, or the task's own where it was left out and the pipeline takes one."""
        from mmcache.tools.running.call_settings import takes_prompt

        return self.selected_task.prompt if prompt is None and takes_prompt(pipe) else prompt

    def _load_pipeline(self) -> Any:
        """The pipeline of --model with its further part, or else the shipped miniature of the task."""
        from mmcache.tools.loading import find_device, find_dtype
        from mmcache.tools.tasks.tasks import fit_to_task, load_for

        part = getattr(self, self.selected_task.part) if self.selected_task.part else None
        if not self.miniature:
            return load_for(
                self.selected_task,
                str(self.model),
                part,
                self.device,
                self.dtype,
                revision=self.revision,
                variant=self.variant,
            )
        place = find_device(self.device)
        pipe = (
            require_demos(MINIATURES).load_miniature(self.miniature).to(place, find_dtype(self.dtype, place))
        )
        return fit_to_task(self.selected_task, pipe, self.miniature, part)


def with_defaults(task: "Task", values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, and the miniature's own for those left out; its mask fits only its own image."""
    folder = Path(require_demos(MINIATURES).__file__).parent / "inputs"
    shipped = {} if values.get("image") else {name: folder / file for name, file in task.inputs.items()}
    chosen = {name: value for name, value in values.items() if value is not None}
    return {**shipped, **task.settings, **chosen}
