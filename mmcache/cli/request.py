"""What is to be drawn, and by which pipeline: the options that compare, generate, sweep and tune share."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mmcache.cli import options

if TYPE_CHECKING:
    from mmcache.tools.comparison.tasks import Task


class Ready(NamedTuple):
    """A loaded pipeline, and what it is called with besides prompt, seed and steps."""

    pipe: Any
    call: dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """The options, each a field. What is None was left out."""

    task: options.Task = "text-to-image"
    model: options.Model = None
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
    threads: options.Threads = None

    @cached_property
    def chosen(self) -> "Task":
        """The task.

        Raises:
            ValueError: there is none of this name.
        """
        from mmcache.tools.comparison.tasks import find_task

        return find_task(self.task)

    @cached_property
    def miniature(self) -> str | None:
        """The shipped miniature that draws; None where a model of the user's own was named."""
        from mmcache_demos import is_shipped

        if self.model is None:
            return self.chosen.miniature
        return self.model if is_shipped(self.model) else None

    def read_inputs(self) -> dict[str, Any]:
        """Whatever can be wrong without the model is found here: the pictures are read.

        Raises:
            ValueError: options that do not go together.
            PictureFileError: a file is missing or no picture, or picture and mask do not match.
        """
        from mmcache.tools.comparison.task_inputs import task_arguments
        from mmcache.tools.comparison.tasks import check_options

        names = ("image", "mask", "frames", "controlnet", "motion_adapter")
        given = {name: getattr(self, name) for name in names}
        check_options(self.chosen, None if self.miniature else self.model, given)
        return task_arguments(default_inputs(self.chosen, given) if self.miniature else given)

    def load(self, inputs: Mapping[str, Any]) -> Ready:
        """Load the pipeline.

        Args:
            inputs: what `read_inputs` gave.

        Raises:
            ModelNotFoundError: there is none.
            UnsupportedPipelineError: it is for another task.
            ValueError: a device that is not there, an unknown dtype.
        """
        import torch

        from mmcache.tools.comparison.sampling_settings import takes_prompt
        from mmcache.tools.comparison.task_inputs import size_like

        if self.threads is not None:
            torch.set_num_threads(self.threads)
        pipe = self._load_pipeline()
        call = dict(inputs)
        if self.chosen.sized_like_image:
            call = size_like(pipe, call["image"]) | call
        named = ("guidance_scale", "negative_prompt", "height", "width")
        call |= {name: value for name in named if (value := getattr(self, name)) is not None}
        if self.miniature and takes_prompt(pipe):
            from mmcache_demos import GUIDANCE_SCALE, SHIPPED

            call = {"guidance_scale": GUIDANCE_SCALE, **SHIPPED[self.miniature].call, **call}
        return Ready(pipe, call)

    def wording(self, prompt: str | None, pipe: Any) -> str | None:
        """The prompt that was given, or the task's own for a pipeline that takes one."""
        from mmcache.tools.comparison.sampling_settings import takes_prompt

        return self.chosen.prompt if prompt is None and takes_prompt(pipe) else prompt

    def _load_pipeline(self) -> Any:
        """The model that was named, with its further part, or else the shipped miniature for the task."""
        from mmcache.tools.comparison.tasks import fitted, load_for
        from mmcache.tools.loading import find_device, find_dtype
        from mmcache_demos import load_miniature

        part = getattr(self, self.chosen.part) if self.chosen.part else None
        if not self.miniature:
            return load_for(self.chosen, str(self.model), part, self.device, self.dtype)
        place = find_device(self.device)
        pipe = load_miniature(self.miniature).to(place, find_dtype(self.dtype, place))
        return fitted(self.chosen, pipe, self.miniature, part)


def default_inputs(task: "Task", given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, or the miniature's own; the shipped mask belongs to the shipped picture."""
    import mmcache_demos as demos

    folder = Path(demos.__file__).parent / "inputs"
    shipped = {} if given.get("image") else {name: folder / file for name, file in task.inputs.items()}
    return {**shipped, **task.settings, **{name: value for name, value in given.items() if value is not None}}
